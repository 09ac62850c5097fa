"""What becomes of a job that leaves its lease or the queue: back into the queue, or to its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from reelmesh.inference.jobs.v1 import jobs_events_pb2 as events_pb
from sqlalchemy.ext.asyncio import AsyncSession

from inference.jobs.hub import Changes
from inference.jobs.job import JobFailure
from inference.jobs.messages import job_message
from inference.jobs.metrics import FINISHED, REQUEUED
from inference.jobs.state import TERMINAL, Event, State, transition
from inference.jobs.store import Ending, HeldLease, JobStore
from meshkit.clock import Ambient
from meshkit.outbox import add_event

SUBJECT_FINISHED: Final = "reelmesh.inference.jobs.job_finished"
PAUSE_SECONDS_MAX: Final = 30
WITH_FAILURE: Final = frozenset({State.FAILED, State.EXPIRED})


@dataclass(frozen=True, slots=True)
class Settlement:
    """Decides jobs by the state machine and records the decision with its event."""

    ambient: Ambient
    changes: Changes

    async def settle(
        self, session: AsyncSession, lease: HeldLease, event: Event, ending: Ending
    ) -> State:
        """Move a job on after its lease or queue row was taken; gives its new state."""
        after = transition(lease.state, event)
        if after is State.QUEUED:
            await self._requeue(session, lease, event, ending)
        else:
            assert after in TERMINAL
            await self._finish(session, lease, after, event, ending)
        return after

    async def break_off(
        self, session: AsyncSession, lease: HeldLease, failure: JobFailure, *, steps_made: int = 0
    ) -> State:
        """Count an attempt as broken: queue the job again while attempts are left."""
        if lease.attempts < lease.attempts_max:
            ending = Ending(failure=failure, steps_made=steps_made)
            return await self.settle(session, lease, Event.RETRY, ending)
        exhausted = JobFailure(
            "ATTEMPTS_EXHAUSTED",
            f"gave up after {lease.attempts} attempts; the last: {failure.reason}",
        )
        ending = Ending(failure=exhausted, steps_made=steps_made)
        return await self.settle(session, lease, Event.EXHAUST, ending)

    async def _requeue(
        self, session: AsyncSession, lease: HeldLease, event: Event, ending: Ending
    ) -> None:
        handed_back = event is Event.HAND_BACK
        await JobStore(session).requeue(
            lease,
            attempts=lease.attempts - 1 if handed_back else lease.attempts,
            event=event.value,
            detail=ending.failure.reason if ending.failure else "",
            pause=timedelta(0) if handed_back else pause_before_retry(lease.attempts),
        )
        REQUEUED.labels(event.value).inc()
        self.changes.announce(session, [lease.key.job_id], queued=True)

    async def _finish(
        self,
        session: AsyncSession,
        lease: HeldLease,
        state: State,
        event: Event,
        ending: Ending,
    ) -> None:
        store = JobStore(session)
        recorded = Ending(
            outputs=ending.outputs if state is State.SUCCEEDED else None,
            failure=ending.failure if state in WITH_FAILURE else None,
            run_ms=ending.run_ms,
            upload_ms=ending.upload_ms,
            steps_made=ending.steps_made,
        )
        await store.finish(lease, state, recorded, event=event.value)
        job = await store.read(lease.key.job_id)
        assert job is not None
        await add_event(
            session,
            SUBJECT_FINISHED,
            events_pb.JobFinished(job=job_message(job)),
            event_id=self.ambient.new_id(),
            now=self.ambient.now(),
        )
        FINISHED.labels(state.value).inc()
        self.changes.announce(session, [job.id])


def pause_before_retry(attempts: int) -> timedelta:
    """Give how long a job waits after its n-th broken attempt: 0, 1, 2, 4 ... 30 seconds.

    The first retry is at once, since most attempts break with their machine and not by the job.
    """
    assert attempts >= 1
    if attempts == 1:
        return timedelta(0)
    return timedelta(seconds=min(2 ** (attempts - 2), PAUSE_SECONDS_MAX))
