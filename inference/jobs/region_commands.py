"""Use cases of operators: see the regions, take them out of service and put them back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from inference.connectors.errors import RegionNotFound
from inference.jobs.hub import Changes
from inference.jobs.job import JobFailure
from inference.jobs.region_store import PlacementRecord, RegionRecord, RegionState, RegionStore
from inference.jobs.settlement import Settlement
from inference.jobs.state import Event
from inference.jobs.store import Ending, JobStore

logger = logging.getLogger(__name__)

DRAINED: Final = "REGION_DRAINS"


@dataclass(frozen=True, slots=True)
class RegionCommands:
    """What operators may do with regions; the same change again is harmless."""

    sessions: async_sessionmaker[AsyncSession]
    changes: Changes
    settlement: Settlement

    async def regions(self) -> list[RegionRecord]:
        """Give every region by name."""
        async with self.sessions.begin() as session:
            return await RegionStore(session).records()

    async def placements(self, limit: int) -> list[PlacementRecord]:
        """Give the newest placements, the last one first."""
        async with self.sessions.begin() as session:
            return await RegionStore(session).placements(limit)

    async def set_state(
        self, name: str, state: RegionState, *, note: str, changed_by: str
    ) -> RegionRecord:
        """Put a region into a state; draining takes back the jobs that have not begun there.

        When this returns, no placement that did not see the new state will be made.

        Raises:
            RegionNotFound: no region of this name has asked for work yet.
        """
        async with self.sessions.begin() as session:
            store = RegionStore(session)
            if not await store.set_state(name, state, note, changed_by):
                raise RegionNotFound(name)
            if state is RegionState.DRAINING:
                await self._take_back(session, name)
            [record] = await store.records(name)
            if state is RegionState.ACTIVE:
                # What waits may be for this region only.
                self.changes.announce(session, [], queued=True)
        logger.info("region changed", extra={"region": name, "state": state, "by": changed_by})
        return record

    async def _take_back(self, session: AsyncSession, name: str) -> None:
        store = JobStore(session)
        for key in await RegionStore(session).unstarted(name):
            held = await store.take_lease(name, key)
            assert held is not None, "the row is locked"
            ending = Ending(failure=JobFailure(DRAINED, ""))
            await self.settlement.settle(session, held, Event.HAND_BACK, ending)
