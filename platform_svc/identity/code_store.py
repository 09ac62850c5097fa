"""SQL of one-time codes, authenticators and recovery codes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.identity.codes import Code, Purpose, digest_of
from platform_svc.identity.tables import CodeRow, RecoveryCodeRow, TotpRow


@dataclass(frozen=True, slots=True)
class Totp:
    """A user's authenticator as it is kept."""

    sealed: bytes
    created_at: datetime
    confirmed_at: datetime | None
    last_step: int | None


@dataclass(frozen=True, slots=True)
class CodeStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    def add(self, code: Code) -> None:
        """Keep a code."""
        self.session.add(CodeRow(**asdict(code)))

    async def holder(self, purpose: Purpose, text: str, *, now: datetime) -> uuid.UUID | None:
        """Return the user of a code that is still good, and leave it so."""
        holder: uuid.UUID | None = await self.session.scalar(
            select(CodeRow.user_id).where(
                CodeRow.digest == digest_of(purpose, text),
                CodeRow.purpose == purpose,
                CodeRow.expires_at > now,
            )
        )
        return holder

    async def redeem(self, purpose: Purpose, text: str, *, now: datetime) -> uuid.UUID | None:
        """Use a code up, with all others of its user for this purpose; None if it is not good."""
        # Of two calls with one code the second waits here for the first one's end.
        user_id: uuid.UUID | None = await self.session.scalar(
            delete(CodeRow)
            .where(
                CodeRow.digest == digest_of(purpose, text),
                CodeRow.purpose == purpose,
                CodeRow.expires_at > now,
            )
            .returning(CodeRow.user_id)
        )
        if user_id is not None:
            await self.void(user_id, purpose)
        return user_id

    async def void(self, user_id: uuid.UUID, *purposes: Purpose) -> None:
        """Make a user's codes for these purposes good for nothing; without any, all of them."""
        statement = delete(CodeRow).where(CodeRow.user_id == user_id)
        if purposes:
            statement = statement.where(CodeRow.purpose.in_(purposes))
        await self.session.execute(statement)

    async def delete_expired(self, *, before: datetime) -> None:
        """Forget codes that ended before then."""
        await self.session.execute(delete(CodeRow).where(CodeRow.expires_at < before))

    async def lock_totp(self, user_id: uuid.UUID) -> Totp | None:
        """Return a user's authenticator, holding its row lock until the transaction ends."""
        row = await self.session.get(TotpRow, user_id, with_for_update=True, populate_existing=True)
        if row is None:
            return None
        return Totp(row.sealed, row.created_at, row.confirmed_at, row.last_step)

    async def save_totp(self, user_id: uuid.UUID, totp: Totp) -> None:
        """Keep a user's authenticator as it is now."""
        statement = insert(TotpRow).values(user_id=user_id, **asdict(totp))
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=[TotpRow.user_id],
                set_={name: statement.excluded[name] for name in asdict(totp)},
            )
        )

    async def add_recovery_codes(self, user_id: uuid.UUID, digests: Iterable[bytes]) -> None:
        """Keep the recovery codes of a new authenticator."""
        await self.session.execute(
            insert(RecoveryCodeRow).values([{"user_id": user_id, "digest": d} for d in digests])
        )

    async def use_recovery_code(self, user_id: uuid.UUID, digest: bytes) -> bool:
        """Use a recovery code up; False if it is none."""
        used = await self.session.scalar(
            delete(RecoveryCodeRow)
            .where(RecoveryCodeRow.user_id == user_id, RecoveryCodeRow.digest == digest)
            .returning(RecoveryCodeRow.user_id)
        )
        return used is not None

    async def count_recovery_codes(self, user_id: uuid.UUID) -> int:
        """Say how many recovery codes are left."""
        query = select(func.count()).where(RecoveryCodeRow.user_id == user_id)
        return await self.session.scalar(query) or 0

    async def delete_second_step(self, user_id: uuid.UUID) -> None:
        """Forget a user's authenticator and recovery codes."""
        for table in (RecoveryCodeRow, TotpRow):
            await self.session.execute(delete(table).where(table.user_id == user_id))
