"""Background work of the tools service: hears of finished jobs and moves stuck runs on."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reelmesh.inference.jobs.v1 import jobs_events_pb2 as events

from business_svc.tools.driver import RunDriver
from business_svc.tools.errors import AssetNotFound, InsufficientCredits
from business_svc.tools.inference_jobs import read_job
from business_svc.tools.journal import RunJournal
from business_svc.tools.store import RunStore
from meshkit.errors import InvalidId, Unavailable
from meshkit.ids import format_id, parse_id
from meshkit.inbox import Event
from meshkit.tasks import attempt

JOB_FINISHED = "reelmesh.inference.jobs.job_finished"
POLL_SECONDS = 1.0
# Runs that are moved on at once: each holds a connection only for moments.
CONCURRENCY = 16

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobFinishedHandler:
    """Records the ends of jobs; the reconciler then settles the runs.

    An event that comes again finds its run further on and changes nothing, so there is no need
    to remember which events were seen.
    """

    journal: RunJournal
    wake: Callable[[], None]

    async def __call__(self, event: Event) -> None:
        """Handle one event."""
        job = event.parse(events.JobFinished).job
        try:
            run_id = parse_id("run", job.idempotency_key, field="idempotency_key")
        except InvalidId:
            logger.warning("job of somebody else", extra={"job_id": job.job_id})
            return
        run = await self.journal.job_ended(run_id, read_job(job), then=self.wake)
        if run is None:
            logger.warning("job of no run", extra={"job_id": job.job_id})


class Reconciler:
    """Moves on every run that is due: just ended, stuck, or active for long."""

    def __init__(self, journal: RunJournal, driver: RunDriver) -> None:
        self._journal = journal
        self._driver = driver
        self._woken = asyncio.Event()
        self._busy = 0

    def wake(self) -> None:
        """Look for due runs now."""
        self._woken.set()

    async def run(self) -> None:
        """Move runs on until canceled.

        It begins with a look at every active run: an event that was delivered to a process that
        died comes again only after a while.
        """
        async with self._journal.sessions.begin() as session:
            await RunStore(session).make_due(now=self._journal.ambient.now())
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                for run_id in await self._take(CONCURRENCY - self._busy):
                    self._busy += 1
                    task = group.create_task(self.move_on(run_id))
                    task.add_done_callback(self._moved)
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()
                except TimeoutError:
                    pass

    async def run_once(self) -> int:
        """Move on the runs that are due now; return how many there were."""
        taken = await self._take(CONCURRENCY)
        await asyncio.gather(*map(self.move_on, taken))
        return len(taken)

    async def _take(self, limit: int) -> Sequence[uuid.UUID]:
        if limit <= 0:
            return []
        async with self._journal.sessions.begin() as session:
            return await RunStore(session).take_due(now=self._journal.ambient.now(), limit=limit)

    async def move_on(self, run_id: uuid.UUID) -> None:
        """Move one run on as far as it goes; a failure is logged and the run is due again."""
        await attempt("tools-run", self._advance(run_id))

    async def _advance(self, run_id: uuid.UUID) -> None:
        try:
            await self._driver.advance(run_id)
        except (AssetNotFound, InsufficientCredits):
            pass  # The intent is gone; whoever asks for it again is told why.
        except Unavailable as error:
            logger.warning(
                "run has to wait",
                extra={"run_id": format_id("run", run_id), **error.metadata},
            )

    def _moved(self, _task: asyncio.Task[None]) -> None:
        self._busy -= 1
        self._woken.set()  # There may be more than there was room for.
