"""Moves on the jobs that nobody moves: expired leases, missed deadlines, ended pauses."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from inference.jobs.hub import Changes
from inference.jobs.job import JobFailure
from inference.jobs.metrics import LIVE_LEASES, READY_JOBS, SCHEDULED_JOBS
from inference.jobs.settlement import Settlement
from inference.jobs.state import Event
from inference.jobs.store import Ending, JobStore
from inference.scheduler.settings import SETTINGS

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.5
BATCH_MAX: Final = 500
# Regions whose heartbeats met no scheduler for a while get this long to be heard again before
# the first lease is taken from them.
GRACE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Any number of processes may run it: each row is taken by one of them."""

    sessions: async_sessionmaker[AsyncSession]
    changes: Changes
    settlement: Settlement
    grace_seconds: float = GRACE_SECONDS
    _never: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Look twice a second; never returns."""
        await self._pause(self.grace_seconds)
        while True:
            await self.look()
            await self._pause(TICK_SECONDS)

    async def look(self) -> None:
        """Move everything on that is due now."""
        while await self.expire_leases() == BATCH_MAX:
            pass
        while await self.expire_deadlines() == BATCH_MAX:
            pass
        while await self.promote() == BATCH_MAX:
            pass
        async with self.sessions.begin() as session:
            await JobStore(session).forget_clocks(SETTINGS.catch_up_seconds)
        await self._measure()

    async def expire_leases(self) -> int:
        """Take back leases past their time and queue or end their jobs; gives their number."""
        async with self.sessions.begin() as session:
            expired = await JobStore(session).take_expired(BATCH_MAX)
            for lease in expired:
                logger.warning(
                    "lease expired",
                    extra={"job": lease.key.job_id, "fence": lease.key.fence, "of": lease.region},
                )
                await self.settlement.break_off(
                    session, lease, JobFailure("LEASE_EXPIRED", "the region fell silent")
                )
        return len(expired)

    async def expire_deadlines(self) -> int:
        """End waiting jobs whose start deadline has passed; gives their number."""
        failure = JobFailure("DEADLINE_PASSED", "the job could not start before its deadline")
        async with self.sessions.begin() as session:
            late = await JobStore(session).take_late(BATCH_MAX)
            for waiting in late:
                await self.settlement.settle(
                    session, waiting, Event.MISS_DEADLINE, Ending(failure=failure)
                )
        return len(late)

    async def promote(self) -> int:
        """Queue jobs whose pause is over; gives their number."""
        async with self.sessions.begin() as session:
            promoted = await JobStore(session).promote(BATCH_MAX)
            if promoted:
                self.changes.announce(session, [], queued=True)
        return promoted

    async def _measure(self) -> None:
        async with self.sessions.begin() as session:
            depths = await JobStore(session).depths()
        READY_JOBS.set(depths.ready)
        SCHEDULED_JOBS.set(depths.scheduled)
        LIVE_LEASES.set(depths.leases)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._never.wait()
        except TimeoutError:
            return
