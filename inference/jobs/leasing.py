"""Write use cases of the regions: grant, extend, complete and give up leases."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from inference.connectors.errors import LeaseLost
from inference.connectors.protocol import Beat, Completion, Failure, Fault, Lease, Verdict
from inference.jobs.hub import Changes
from inference.jobs.job import JobFailure
from inference.jobs.metrics import CLAIM_SECONDS, STALE
from inference.jobs.settlement import Settlement
from inference.jobs.state import Event, State
from inference.jobs.store import Ending, HeldLease, JobStore
from inference.scheduler.snapshot import Placement, Waiting

logger = logging.getLogger(__name__)

Choose = Callable[[Waiting], Sequence[Placement]]

ABANDONED: Final = "NOBODY_TO_RECEIVE"


@dataclass(frozen=True, slots=True)
class LeaseCommands:
    """What may be done with leases; the scheduler grants, the regions do the rest."""

    sessions: async_sessionmaker[AsyncSession]
    changes: Changes
    settlement: Settlement
    lease_ttl: timedelta
    # Regions that are stored already, so that each is written once in the life of a process.
    known_regions: set[str] = field(default_factory=set)

    async def place(
        self, models: Sequence[str], regions: Collection[str], *, room: int, choose: Choose
    ) -> Mapping[uuid.UUID, Lease]:
        """Show what waits for these models and how the regions stand; lease what is chosen.

        Each lease has its job's next fence; jobs that somebody else took meanwhile are missing.
        Reading and claiming are one transaction for the time that it saves, not for safety.
        """
        async with self.sessions.begin() as session:
            store = JobStore(session)
            await store.pin_plans()
            if not self.known_regions.issuperset(regions):
                await store.add_regions(regions)
            waiting = await store.waiting(models, sorted(regions), room)
            placements = choose(waiting) if waiting.ready else ()
            leases: dict[uuid.UUID, Lease] = {}
            if placements:
                with CLAIM_SECONDS.time():
                    leases = await store.claim(placements, self.lease_ttl)
                self.changes.announce(session, list(leases))
        self.known_regions.update(regions)
        return leases

    async def hand_back(self, leases: Sequence[Lease]) -> None:
        """Queue jobs again whose lease never reached a region."""
        async with self.sessions.begin() as session:
            store = JobStore(session)
            for lease in leases:
                held = await store.take_lease(None, lease.key)
                if held is not None:
                    ending = Ending(failure=JobFailure(ABANDONED, ""))
                    await self.settlement.settle(session, held, Event.HAND_BACK, ending)

    async def extend(self, region: str, beats: Sequence[Beat]) -> Verdict:
        """Keep the region's leases alive and take in their progress."""
        async with self.sessions.begin() as session:
            held = await JobStore(session).extend(region, beats, self.lease_ttl)
            self.changes.announce(
                session, [b.key.job_id for b in beats if b.step is not None and b.key in held]
            )
        lost = frozenset(beat.key for beat in beats) - held.keys()
        STALE.labels("extend").inc(len(lost))
        return Verdict(
            lost=lost, canceled=frozenset(key for key, canceled in held.items() if canceled)
        )

    async def complete(self, region: str, completion: Completion) -> None:
        """Publish a job's outputs, once.

        Raises:
            LeaseLost: the fence is stale, or a cancel was acknowledged before.
        """
        key = completion.key
        async with self.sessions.begin() as session:
            store = JobStore(session)
            held = await store.take_lease(region, key)
            if held is not None:
                ending = Ending(
                    outputs=completion.outputs,
                    run_ms=completion.run_ms,
                    upload_ms=completion.upload_ms,
                    steps_made=completion.steps_made,
                )
                state = await self.settlement.settle(session, held, Event.COMPLETE, ending)
                published = state is State.SUCCEEDED
            else:
                outcome = await store.find_outcome(key.job_id)
                published = outcome == (key.fence, State.SUCCEEDED, completion.outputs)
        if not published:
            STALE.labels("complete").inc()
            raise LeaseLost(key.job_id, key.fence)

    async def fail(self, region: str, failure: Failure) -> None:
        """Give a lease up; what becomes of the job follows from the fault.

        Raises:
            LeaseLost: the fence is stale, and the job did not end by this lease's failure.
        """
        key = failure.key
        async with self.sessions.begin() as session:
            store = JobStore(session)
            held = await store.take_lease(region, key)
            if held is not None:
                await self._settle_failure(session, held, failure)
                return
            outcome = await store.find_outcome(key.job_id)
        if outcome is None or outcome[0] != key.fence or outcome[1] is State.SUCCEEDED:
            STALE.labels("fail").inc()
            raise LeaseLost(key.job_id, key.fence)

    async def _settle_failure(
        self, session: AsyncSession, held: HeldLease, failure: Failure
    ) -> None:
        # Postgres refuses NULs, and a replica's message may hold anything.
        reason, message = (t.replace("\x00", "") for t in (failure.reason, failure.message))
        told = JobFailure(reason, message)
        ending = Ending(failure=told, steps_made=failure.steps_made)
        match failure.fault:
            case Fault.INPUT:
                await self.settlement.settle(session, held, Event.REJECT, ending)
            case Fault.HANDED_BACK:
                await self.settlement.settle(session, held, Event.HAND_BACK, ending)
            case Fault.CANCELED:
                await self.settlement.settle(session, held, Event.STOP, ending)
            case Fault.ATTEMPT:
                await self.settlement.break_off(session, held, told, steps_made=failure.steps_made)
