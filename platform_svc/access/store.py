"""All SQL of the access service."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import DateTime, Uuid, column, func, or_, select, tuple_, update, values
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.access.key import ApiKey
from platform_svc.access.tables import ApiKeyRow


@dataclass(frozen=True, slots=True)
class AccessStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def lock_keys(self, org_id: uuid.UUID) -> None:
        """Let an organization get one key at a time, so that the count of them is right."""
        await self.session.execute(
            select(func.pg_advisory_xact_lock(func.hashtext(f"api-keys:{org_id}")))
        )

    async def working_count(self, org_id: uuid.UUID, now: datetime) -> int:
        """Return how many keys of an organization are neither revoked nor expired."""
        query = select(func.count()).where(
            ApiKeyRow.org_id == org_id, ApiKeyRow.revoked_at.is_(None), ApiKeyRow.expires_at > now
        )
        return await self.session.scalar(query) or 0

    async def add(self, key: ApiKey, key_hash: bytes) -> None:
        """Keep a new key."""
        self.session.add(
            ApiKeyRow(
                id=key.id,
                org_id=key.org_id,
                name=key.name,
                prefix=key.prefix,
                key_hash=key_hash,
                scopes=list(key.scopes),
                created_by=key.created_by,
                created_at=key.created_at,
                expires_at=key.expires_at,
                last_used_at=None,
                revoked_at=None,
            )
        )
        await self.session.flush()  # The answer that follows must not be kept without it.

    async def find(self, org_id: uuid.UUID, key_id: uuid.UUID) -> ApiKey | None:
        """Return a key of the organization, holding its row lock."""
        row = await self.session.get(ApiKeyRow, key_id, with_for_update=True)
        return None if row is None or row.org_id != org_id else _key(row)

    async def by_hash(self, hashes: Sequence[bytes]) -> ApiKey | None:
        """Return the key that has one of the hashes."""
        row = await self.session.scalar(select(ApiKeyRow).where(ApiKeyRow.key_hash.in_(hashes)))
        return None if row is None else _key(row)

    async def page(
        self, org_id: uuid.UUID, *, before: tuple[datetime, uuid.UUID] | None, count: int
    ) -> list[ApiKey]:
        """Return up to `count` keys, newest first."""
        place = (ApiKeyRow.created_at, ApiKeyRow.id)
        query = (
            select(ApiKeyRow)
            .where(ApiKeyRow.org_id == org_id)
            .order_by(*(one.desc() for one in place))
            .limit(count)
        )
        if before is not None:
            query = query.where(tuple_(*place) < tuple_(*before))
        return [_key(row) for row in await self.session.scalars(query)]

    async def revoke(self, key_id: uuid.UUID, now: datetime) -> None:
        """End a key."""
        await self.session.execute(
            update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(revoked_at=now)
        )

    async def note_uses(self, uses: Mapping[uuid.UUID, datetime]) -> None:
        """Store when keys were used last, in one statement; older times change nothing."""
        used = values(
            column("id", Uuid), column("used_at", DateTime(timezone=True)), name="used"
        ).data(list(uses.items()))
        await self.session.execute(
            update(ApiKeyRow)
            .where(
                ApiKeyRow.id == used.c.id,
                or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at < used.c.used_at),
            )
            .values(last_used_at=used.c.used_at)
            .execution_options(synchronize_session=False)
        )


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        org_id=row.org_id,
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(row.scopes),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
