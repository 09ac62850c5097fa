"""All SQL of the notifications service."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.notifications.mail import Mail, MailOrder, MailState, Outgoing
from platform_svc.notifications.tables import MailRow


@dataclass(frozen=True, slots=True)
class MailStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def add(self, order: MailOrder, mail: Mail, *, expires_at: datetime) -> bool:
        """Keep a new mail; False if the idempotency key is taken."""
        added = await self.session.scalar(
            insert(MailRow)
            .values(
                id=mail.id,
                idempotency_key=order.idempotency_key,
                fingerprint=order.fingerprint(),
                template=order.template,
                recipient=order.recipient,
                parameters=dict(order.parameters),
                state=mail.state,
                attempts=0,
                next_attempt_at=mail.created_at,
                created_at=mail.created_at,
                expires_at=expires_at,
            )
            .on_conflict_do_nothing(index_elements=[MailRow.idempotency_key])
            .returning(MailRow.id)
        )
        return added is not None

    async def ordered_with(self, key: str) -> tuple[Mail, bytes] | None:
        """Return the mail with this idempotency key, and its order's fingerprint."""
        row = await self.session.scalar(select(MailRow).where(MailRow.idempotency_key == key))
        if row is None:
            return None
        return Mail(row.id, MailState(row.state), row.created_at), row.fingerprint

    async def claim(self, *, now: datetime, lease: timedelta, count: int) -> list[Outgoing]:
        """Take mails that are due, oldest first; nobody else gets them until the lease ends."""
        due = (
            select(MailRow.id)
            .where(MailRow.state == MailState.QUEUED, MailRow.next_attempt_at <= now)
            .order_by(MailRow.next_attempt_at)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        rows = await self.session.scalars(
            update(MailRow)
            .where(MailRow.id.in_(due.scalar_subquery()))
            .values(attempts=MailRow.attempts + 1, next_attempt_at=now + lease)
            .returning(MailRow)
        )
        return sorted((_outgoing(row) for row in rows), key=lambda mail: mail.created_at)

    async def finish(
        self, mail_id: uuid.UUID, state: MailState, *, now: datetime, failure: str | None = None
    ) -> None:
        """Note how a mail ended, and erase what it said."""
        await self.session.execute(
            update(MailRow)
            .where(MailRow.id == mail_id, MailRow.state == MailState.QUEUED)
            .values(state=state, finished_at=now, parameters=null(), last_failure=failure)
        )

    async def postpone(self, mail_id: uuid.UUID, *, until: datetime, failure: str) -> None:
        """Let a mail wait for its next attempt."""
        await self.session.execute(
            update(MailRow)
            .where(MailRow.id == mail_id, MailRow.state == MailState.QUEUED)
            .values(next_attempt_at=until, last_failure=failure)
        )

    async def count_queued(self) -> int:
        """Say how many mails are on their way."""
        query = select(func.count()).where(MailRow.state == MailState.QUEUED)
        return await self.session.scalar(query) or 0

    async def delete_finished(self, *, before: datetime) -> None:
        """Forget mails that ended before then."""
        await self.session.execute(delete(MailRow).where(MailRow.finished_at < before))


def _outgoing(row: MailRow) -> Outgoing:
    assert row.parameters is not None, "a queued mail has its parameters"
    return Outgoing(
        row.id,
        row.template,
        row.recipient,
        row.parameters,
        row.attempts,
        row.created_at,
        row.expires_at,
    )
