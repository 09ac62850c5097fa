"""Write use cases of the job's owner: submit and cancel, one transaction each."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from inference.connectors.protocol import Submission
from inference.jobs.errors import JobNotFound, ModelNotFound
from inference.jobs.hub import Changes
from inference.jobs.job import Job, fingerprint
from inference.jobs.metrics import SUBMITTED
from inference.jobs.settlement import Settlement
from inference.jobs.state import Event
from inference.jobs.store import Ending, JobStore
from meshkit.clock import Ambient
from meshkit.errors import IdempotencyKeyReused
from meshkit.postgres import TransactionAborted

# A job that is on its way between queue and lease shows in neither; the move is one commit away.
LOOKS_MAX: Final = 20


class Models(Protocol):
    """The registry, as far as submitting needs it."""

    def serves(self, model: str, task: str) -> bool:
        """Say whether a model of this name does this task."""
        ...


@dataclass(frozen=True, slots=True)
class JobCommands:
    """What may be done to jobs by who ordered them."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    models: Models
    changes: Changes
    settlement: Settlement

    async def submit(self, submission: Submission) -> Job:
        """Queue a job; the same submission under the same key gives the first one's job.

        Raises:
            ModelNotFound: no model of this name does the task.
            IdempotencyKeyReused: the key was used for another submission.
        """
        if not self.models.serves(submission.model, submission.task):
            raise ModelNotFound(model=submission.model, task=submission.task)
        proof = fingerprint(submission)
        async with self.sessions.begin() as session:
            store = JobStore(session)
            job_id = self.ambient.new_id()
            if await store.submit(job_id, submission, proof):
                self.changes.announce(session, [job_id], queued=True)
                SUBMITTED.labels(submission.model).inc()
            else:
                job_id = await _same_or_refuse(store, submission, proof)
            return await _read(store, job_id)

    async def cancel(self, job_id: uuid.UUID) -> Job:
        """End a waiting job, or flag a leased one; a finished job stays as it is.

        Raises:
            JobNotFound: there is no such job.
            TransactionAborted: the job moved too often to be caught; try again.
        """
        async with self.sessions.begin() as session:
            store = JobStore(session)
            for _ in range(LOOKS_MAX):
                # Each look waits for whoever holds the row, so a look that finds nothing means
                # that the job has moved on and that the next look sees where to.
                waiting = await store.take_queued(job_id)
                if waiting is not None:
                    await self.settlement.settle(session, waiting, Event.CANCEL, Ending())
                    return await _read(store, job_id)
                if await store.request_cancel(job_id):
                    self.changes.announce(session, [job_id])
                    return await _read(store, job_id)
                job = await _read(store, job_id)
                if job.is_over:
                    return job
        raise TransactionAborted("the job keeps moving; try again")


async def _read(store: JobStore, job_id: uuid.UUID) -> Job:
    job = await store.read(job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


async def _same_or_refuse(store: JobStore, submission: Submission, proof: bytes) -> uuid.UUID:
    earlier = await store.find_by_key(submission.tenant_id, submission.idempotency_key)
    assert earlier is not None, "jobs are never deleted while their key conflicts"
    job_id, earlier_proof = earlier
    if earlier_proof != proof:
        raise IdempotencyKeyReused("the idempotency key was used for another job")
    return job_id
