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
from meshkit.audit import Change, record
from meshkit.context import UserPrincipal
from meshkit.ids import format_id

logger = logging.getLogger(__name__)

DRAINED: Final = "REGION_DRAINS"
ACTIONS: Final = {
    RegionState.ACTIVE: "uncordoned",
    RegionState.CORDONED: "cordoned",
    RegionState.DRAINING: "drained",
}


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
        self, name: str, state: RegionState, operator: UserPrincipal, *, note: str
    ) -> RegionRecord:
        """Put a region into a state; draining takes back the jobs that have not begun there.

        When this returns, no placement that did not see the new state will be made.

        Raises:
            RegionNotFound: no region of this name has asked for work yet.
        """
        async with self.sessions.begin() as session:
            store = RegionStore(session)
            changed_by = format_id("usr", operator.user_id)
            if not await store.set_state(name, state, note, changed_by):
                raise RegionNotFound(name)
            # A region is no organization's: the entry stands where the operator acted.
            change = Change(f"region.{ACTIONS[state]}", operator.organization_id, (name,))
            await record(session, change, self.settlement.ambient)
            if state is RegionState.DRAINING:
                await self._take_back(session, name)
            [changed] = await store.records(name)
            if state is RegionState.ACTIVE:
                # What waits may be for this region only.
                self.changes.announce(session, [], queued=True)
        logger.info("region changed", extra={"region": name, "state": state, "by": changed_by})
        return changed

    async def _take_back(self, session: AsyncSession, name: str) -> None:
        store = JobStore(session)
        for key in await RegionStore(session).unstarted(name):
            held = await store.take_lease(name, key)
            assert held is not None, "the row is locked"
            ending = Ending(failure=JobFailure(DRAINED, ""))
            await self.settlement.settle(session, held, Event.HAND_BACK, ending)
