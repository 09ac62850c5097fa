"""Read use cases of jobs: one job, and one job as it changes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from inference.jobs.errors import JobNotFound
from inference.jobs.hub import JobHub
from inference.jobs.job import Job
from inference.jobs.store import JobStore
from meshkit.errors import Unavailable

# Changes made by another process do not reach this one's hub, so a watcher also looks by itself.
LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class JobQueries:
    """What may be asked about jobs."""

    sessions: async_sessionmaker[AsyncSession]
    hub: JobHub

    async def get(self, job_id: uuid.UUID) -> Job:
        """Give a job as it stands.

        Raises:
            JobNotFound: there is no such job.
        """
        async with self.sessions.begin() as session:
            job = await JobStore(session).read(job_id)
        if job is None:
            raise JobNotFound(job_id)
        return job

    async def watch(self, job_id: uuid.UUID) -> AsyncIterator[Job]:
        """Give a job now and after each change, up to its terminal state.

        Changes that follow one another faster than they are taken are merged.

        Raises:
            JobNotFound: there is no such job.
            Unavailable: this process ends; watch again.
        """
        with self.hub.watch(job_id) as changed:
            seen: Job | None = None
            while seen is None or not seen.is_over:
                changed.clear()
                job = await self.get(job_id)
                if job != seen:
                    seen = job
                    yield job
                    continue
                if self.hub.is_draining:
                    raise Unavailable("the server is about to stop; watch again")
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    continue
