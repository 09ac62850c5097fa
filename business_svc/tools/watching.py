"""Follows a run for somebody who watches: its job's progress first, then its settlement."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from business_svc.tools.changes import RunChanges
from business_svc.tools.inference_jobs import InferenceJobs, JobRefused
from business_svc.tools.queries import RunQueries
from business_svc.tools.runs import Job, Phase, Run, shown
from meshkit.errors import Unavailable

# How long a change that another process made may go unseen.
POLL_SECONDS = 1.0
PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 5.0


class JobFeed:
    """The newest state of a job, from a stream that is renewed when it breaks."""

    def __init__(self, jobs: InferenceJobs, changed: Callable[[], None]) -> None:
        self._jobs = jobs
        self._changed = changed
        self.newest: Job | None = None

    async def follow(self, job_id: uuid.UUID) -> None:
        """Read the stream until the job has ended, or inference does not know it."""
        pause = PAUSE_SECONDS_MIN
        while True:
            before = self.newest
            try:
                await self._read(job_id)
            except Unavailable:
                pass
            except JobRefused:
                return
            if self.newest is not None and self.newest.ended:
                return
            pause = PAUSE_SECONDS_MIN if self.newest is not before else pause
            # Nothing tells when inference is back: a pause that grows, then another try.
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _read(self, job_id: uuid.UUID) -> None:
        async for job in self._jobs.watch(job_id):
            self.newest = job
            self._changed()


@dataclass(frozen=True, slots=True)
class RunWatcher:
    """Lets any number of callers watch runs."""

    queries: RunQueries
    jobs: InferenceJobs
    changes: RunChanges

    async def watch(self, organization_id: uuid.UUID, run_id: uuid.UUID) -> AsyncIterator[Run]:
        """Yield the run as it stands, then each change, and end with its final state.

        Changes that come faster than they are read are merged.

        Raises:
            RunNotFound: the organization has no such run.
            Unavailable: this process ends; watch again.
        """
        following: asyncio.Task[None] | None = None
        with self.changes.subscribe(run_id) as subscription:
            feed = JobFeed(self.jobs, subscription.changed.set)
            run = last = None
            try:
                while True:
                    if run is None or subscription.recorded:
                        subscription.recorded = False
                        run = await self.queries.find(organization_id, run_id)
                    view = shown(run, feed.newest)
                    if view != last:
                        yield view
                        last = view
                    if run.settled:
                        return
                    if self.changes.is_draining:
                        raise Unavailable("the server is about to stop; watch again")
                    if following is None and run.phase is Phase.ACTIVE and run.job_id is not None:
                        following = asyncio.create_task(feed.follow(run.job_id))
                    elif following is not None and following.done():
                        following.result()  # A defect in the feed must not pass unseen.
                    await subscription.wait(POLL_SECONDS)
            finally:
                if following is not None:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
