"""All SQL of the events that providers send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.billing.claiming import claim_due, due_again
from platform_svc.billing.tables import ProviderEventRow


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A hint that an object of a provider's has changed."""

    id: str
    kind: str
    object_ref: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class EventStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def add(self, event: ProviderEvent, *, now: datetime, is_due: bool = True) -> bool:
        """Record an event; False if its id was recorded before."""
        row = insert(ProviderEventRow).values(
            id=event.id,
            kind=event.kind,
            object_ref=event.object_ref,
            state="due" if is_due else "ignored",
            attempts=0,
            due_at=now if is_due else None,
            received_at=now,
        )
        recorded = await self.session.execute(
            row.on_conflict_do_nothing().returning(ProviderEventRow.id)
        )
        return recorded.first() is not None

    async def claim(
        self, *, now: datetime, lease: timedelta, count: int
    ) -> Sequence[ProviderEvent]:
        """Take events that are due, putting each off so that nobody else takes it meanwhile."""
        rows = await claim_due(self.session, ProviderEventRow, now=now, lease=lease, count=count)
        return [ProviderEvent(row.id, row.kind, row.object_ref, row.attempts) for row in rows]

    async def close(self, event: ProviderEvent) -> None:
        """Record that what the event hinted at was looked at."""
        row = await self.session.get_one(ProviderEventRow, event.id)
        row.state, row.due_at = "done", None

    async def forget(self, *, before: datetime) -> None:
        """Delete what was received before then and is done with."""
        statement = delete(ProviderEventRow).where(
            ProviderEventRow.state != "due", ProviderEventRow.received_at < before
        )
        await self.session.execute(statement)

    async def delay(self, event: ProviderEvent, *, now: datetime) -> None:
        """Look again after a pause that grows."""
        row = await self.session.get_one(ProviderEventRow, event.id)
        row.due_at = due_again(now, event.attempts)
