"""SQL of errands: mails that are owed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.identity.errands import Errand, ErrandKind
from platform_svc.identity.tables import ErrandRow


@dataclass(frozen=True, slots=True)
class ErrandStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    def add(self, errand: Errand) -> None:
        """Keep an errand, due at once."""
        self.session.add(
            ErrandRow(
                id=errand.id,
                kind=errand.kind,
                user_id=errand.user_id,
                address=errand.address,
                display_name=errand.display_name,
                attempts=0,
                next_attempt_at=errand.created_at,
                created_at=errand.created_at,
            )
        )

    async def claim(self, *, now: datetime, lease: timedelta, count: int) -> list[Errand]:
        """Take errands that are due, oldest first; nobody else gets them until the lease ends."""
        due = (
            select(ErrandRow.id)
            .where(ErrandRow.next_attempt_at <= now)
            .order_by(ErrandRow.next_attempt_at)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        rows = await self.session.scalars(
            update(ErrandRow)
            .where(ErrandRow.id.in_(due.scalar_subquery()))
            .values(attempts=ErrandRow.attempts + 1, next_attempt_at=now + lease)
            .returning(ErrandRow)
        )
        return sorted((_errand(row) for row in rows), key=lambda errand: errand.created_at)

    async def postpone(self, errand_id: uuid.UUID, *, until: datetime) -> None:
        """Let an errand wait for its next attempt."""
        await self.session.execute(
            update(ErrandRow).where(ErrandRow.id == errand_id).values(next_attempt_at=until)
        )

    async def delete(self, errand_id: uuid.UUID) -> None:
        """Forget an errand that is done."""
        await self.session.execute(delete(ErrandRow).where(ErrandRow.id == errand_id))

    async def delete_of(self, user_id: uuid.UUID) -> None:
        """Forget what a user is owed."""
        await self.session.execute(delete(ErrandRow).where(ErrandRow.user_id == user_id))


def _errand(row: ErrandRow) -> Errand:
    return Errand(
        id=row.id,
        kind=ErrandKind(row.kind),
        created_at=row.created_at,
        user_id=row.user_id,
        address=row.address,
        display_name=row.display_name,
        attempts=row.attempts,
    )
