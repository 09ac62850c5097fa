"""SQL of what is shown to users."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.clock import Ambient
from platform_svc.notifications.inbox import UNREAD_MAX, Notification, Told
from platform_svc.notifications.tables import NotificationRow


@dataclass(frozen=True, slots=True)
class InboxStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def add(self, told: Told, ambient: Ambient) -> None:
        """Show a notice to each of its users.

        Each user's notifications are added one transaction after the other, so that positions
        become visible in their order and a watcher who has seen one has seen all before it.
        """
        now = ambient.now()
        for user_id in sorted(set(told.user_ids)):
            await self.session.execute(
                select(func.pg_advisory_xact_lock(func.hashtext(f"inbox:{user_id}")))
            )
            self.session.add(
                NotificationRow(
                    id=ambient.new_id(),
                    user_id=user_id,
                    org_id=told.org_id,
                    type=told.type,
                    subject_id=told.subject_id,
                    title=told.title,
                    occurred_at=told.occurred_at,
                    created_at=now,
                    read_at=None,
                )
            )
            await self.session.flush()

    async def find(self, user_id: uuid.UUID, notification_id: uuid.UUID) -> Notification | None:
        """Return one of the user's notifications."""
        row = await self.session.scalar(
            select(NotificationRow).where(
                NotificationRow.user_id == user_id, NotificationRow.id == notification_id
            )
        )
        return None if row is None else _notification(row)

    async def page(
        self, user_id: uuid.UUID, *, before: int | None, unread_only: bool, count: int
    ) -> list[Notification]:
        """Return up to `count` of the user's notifications, newest first."""
        query = select(NotificationRow).where(NotificationRow.user_id == user_id)
        if before is not None:
            query = query.where(NotificationRow.position < before)
        if unread_only:
            query = query.where(NotificationRow.read_at.is_(None))
        query = query.order_by(NotificationRow.position.desc()).limit(count)
        return [_notification(row) for row in await self.session.scalars(query)]

    async def since(self, user_id: uuid.UUID, *, position: int, count: int) -> list[Notification]:
        """Return up to `count` of the user's notifications behind a position, oldest first."""
        query = (
            select(NotificationRow)
            .where(NotificationRow.user_id == user_id, NotificationRow.position > position)
            .order_by(NotificationRow.position)
            .limit(count)
        )
        return [_notification(row) for row in await self.session.scalars(query)]

    async def newest(self, user_id: uuid.UUID) -> int:
        """Return the position of the user's newest notification; 0 without any."""
        query = select(func.max(NotificationRow.position)).where(NotificationRow.user_id == user_id)
        return await self.session.scalar(query) or 0

    async def unread(self, user_id: uuid.UUID) -> int:
        """Return how many are unread, up to 1000."""
        some = (
            select(NotificationRow.position)
            .where(NotificationRow.user_id == user_id, NotificationRow.read_at.is_(None))
            .limit(UNREAD_MAX)
        )
        query = select(func.count()).select_from(some.subquery())
        return await self.session.scalar(query) or 0

    async def mark_read(self, user_id: uuid.UUID, *, first: int, last: int, now: datetime) -> None:
        """Mark what is unread between two positions, both included."""
        await self.session.execute(
            update(NotificationRow)
            .where(
                NotificationRow.user_id == user_id,
                NotificationRow.read_at.is_(None),
                NotificationRow.position.between(first, last),
            )
            .values(read_at=now)
            .execution_options(synchronize_session=False)
        )

    async def delete_of(self, user_id: uuid.UUID) -> None:
        """Forget all that a user was shown."""
        await self.session.execute(
            delete(NotificationRow).where(NotificationRow.user_id == user_id)
        )

    async def delete_old(self, *, before: datetime) -> None:
        """Forget what was shown before then."""
        await self.session.execute(
            delete(NotificationRow).where(NotificationRow.created_at < before)
        )


def _notification(row: NotificationRow) -> Notification:
    return Notification(
        id=row.id,
        position=row.position,
        user_id=row.user_id,
        org_id=row.org_id,
        type=row.type,
        subject_id=row.subject_id,
        title=row.title,
        occurred_at=row.occurred_at,
        read_at=row.read_at,
    )
