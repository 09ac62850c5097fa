"""Write use cases of the events service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.outbox import add_event
from meshkit.postgres import retry_aborted
from platform_svc.events.catalogue import Catalogue
from platform_svc.events.collection import Accepted, Batch, Receipt, judge, kept
from platform_svc.events.store import EventStore

EVENTS_COLLECTED: Final = "reelmesh.platform.events.events_collected"

# How what was taken of a batch is told to others.
Publication = Callable[[Batch, Sequence[Accepted], datetime], Message]


@dataclass(frozen=True, slots=True)
class EventCommands:
    """What may be done with events."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    catalogue: Catalogue
    publication: Publication

    async def collect(self, batch: Batch) -> Receipt:
        """Take a batch: all of its effects happen together, and each event counts once."""
        now = self.ambient.now()
        accepted, rejected = judge(batch, self.catalogue, now=now)
        failed = [kept(one, batch, spare_id=self.ambient.new_id(), now=now) for one in rejected]

        async def attempt() -> int:
            async with self.sessions.begin() as session:
                store = EventStore(session)
                fresh = await store.take(batch.organization_id, accepted, now=now)
                await store.keep_failed(batch.organization_id, failed)
                if fresh:
                    message = self.publication(batch, fresh, now)
                    event_id = self.ambient.new_id()
                    await add_event(session, EVENTS_COLLECTED, message, event_id=event_id, now=now)
                return len(fresh)

        taken = await retry_aborted(attempt)
        return Receipt(taken, len(accepted) - taken, tuple(rejected))
