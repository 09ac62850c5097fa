"""All SQL of the events service."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.events.collection import Accepted, Failed
from platform_svc.events.tables import FailedEventRow, MessageRow

FAILED_PER_ORGANIZATION_MAX = 10_000


class Position(NamedTuple):
    """Where a failed event stands in the listing of its organization."""

    received_at: datetime
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class EventStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def take(
        self, org_id: uuid.UUID, events: Sequence[Accepted], *, now: datetime
    ) -> list[Accepted]:
        """Record message ids; give the events whose id is new, each once.

        A concurrent batch with the same ids waits here until this transaction ends. Ids are
        recorded in their order, so that two such batches cannot wait for each other.
        """
        by_message = {event.message_id: event for event in reversed(events)}
        if not by_message:
            return []
        rows = [
            {"org_id": org_id, "message_id": message_id, "seen_at": now}
            for message_id in sorted(by_message)
        ]
        added = insert(MessageRow).values(rows).on_conflict_do_nothing()
        taken = await self.session.scalars(added.returning(MessageRow.message_id))
        fresh = set(taken.all())
        return [event for event in by_message.values() if event.message_id in fresh]

    async def keep_failed(self, org_id: uuid.UUID, failed: Sequence[Failed]) -> None:
        """Keep events that were not taken; one that is kept already stays as it was."""
        rows = [
            {name: getattr(one, name) for name in Failed.__slots__} | {"org_id": org_id}
            for one in failed
        ]
        if rows:
            await self.session.execute(insert(FailedEventRow).on_conflict_do_nothing(), rows)

    async def failed(
        self, org_id: uuid.UUID, *, after: Position | None, count: int
    ) -> list[Failed]:
        """Give an organization's failed events, newest first, older than `after`."""
        place = tuple_(FailedEventRow.received_at, FailedEventRow.id)
        query = (
            select(FailedEventRow)
            .where(FailedEventRow.org_id == org_id)
            .order_by(FailedEventRow.received_at.desc(), FailedEventRow.id.desc())
            .limit(count)
        )
        if after is not None:
            query = query.where(place < tuple_(*after))
        rows = await self.session.scalars(query)
        return [Failed(**{name: getattr(row, name) for name in Failed.__slots__}) for row in rows]

    async def sweep_messages(self, before: datetime) -> int:
        """Forget message ids that were taken before then; say how many."""
        old = delete(MessageRow).where(MessageRow.seen_at < before)
        return len((await self.session.execute(old.returning(MessageRow.message_id))).all())

    async def sweep_failed(self, before: datetime) -> int:
        """Delete failed events that are older, or beyond an organization's newest 10,000."""
        place = func.row_number().over(
            partition_by=FailedEventRow.org_id, order_by=FailedEventRow.received_at.desc()
        )
        numbered = select(FailedEventRow.id, place.label("place")).subquery()
        beyond = select(numbered.c.id).where(numbered.c.place > FAILED_PER_ORGANIZATION_MAX)
        over = (FailedEventRow.received_at < before) | FailedEventRow.id.in_(beyond)
        deleted = delete(FailedEventRow).where(over).returning(FailedEventRow.id)
        return len((await self.session.execute(deleted)).all())
