"""Tells the scheduler how far a job is and learns whether to go on, beside the drawing."""

from __future__ import annotations

import asyncio
import logging
import threading
from types import TracebackType
from typing import Final, Self

from inference.connectors.client import SchedulerAway
from inference.connectors.protocol import Beat, Consumer, LeaseKey
from meshkit.stubs import RemoteError

logger = logging.getLogger(__name__)

AWAY_PAUSE_SECONDS: Final = 0.5
# A scheduler that takes longer than this to answer does not hold the drawing up.
PACE_SECONDS_MAX: Final = 1.0


class Reporter:
    """Reports the newest step of one lease while its context is open.

    Steps that come while a report is under way are merged. Without news it sends a sign of life
    every `beat_seconds`. A scheduler that is away is asked again and again: only its answer can
    tell that the lease is lost.
    """

    def __init__(self, connector: Consumer, key: LeaseKey, *, beat_seconds: float) -> None:
        self._connector = connector
        self._key = key
        self._beat_seconds = beat_seconds
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._step: tuple[int, int] | None = None
        self._stop = threading.Event()
        self._heard = threading.Condition()
        self._heard_step = 0
        self._is_away = False
        self._task: asyncio.Task[None] | None = None
        self.is_lost = False
        self.is_canceled = False

    @property
    def must_stop(self) -> bool:
        """Whether the job is lost or canceled; may be read from any thread."""
        return self._stop.is_set()

    def wait_stop(self, seconds: float) -> bool:
        """Block the calling thread until the job must stop, at most this long."""
        return self._stop.wait(seconds)

    def keep_pace(self, step: int) -> None:
        """Block the calling thread until the step before this one is answered.

        So a cancel, which travels with the answer, is seen within two steps however slow the
        scheduler is; one that is away is not waited for.
        """

        def is_near() -> bool:
            return self._heard_step >= step - 1 or self._is_away or self.must_stop

        with self._heard:
            self._heard.wait_for(is_near, PACE_SECONDS_MAX)

    def advance(self, step: int, steps: int) -> None:
        """Take note of a step; may be called from any thread and never blocks."""
        self._loop.call_soon_threadsafe(self._note, step, steps)

    async def __aenter__(self) -> Self:
        """Begin to report."""
        self._task = asyncio.create_task(self._run(), name=f"report-{self._key.job_id}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop reporting."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _note(self, step: int, steps: int) -> None:
        self._step = (step, steps)
        self._news.set()

    async def _run(self) -> None:
        while not self.must_stop:
            await self._wait(self._beat_seconds)
            self._news.clear()
            # Until the work has begun there is only a sign of life to send.
            beat = Beat(self._key, *self._step) if self._step is not None else Beat(self._key)
            try:
                verdict = await self._connector.extend([beat])
            except (SchedulerAway, RemoteError) as error:
                logger.warning("no answer to a report", extra={"why": str(error)})
                self._hear(self._heard_step, is_away=True)
                await self._wait(AWAY_PAUSE_SECONDS)
                self._news.set()
                continue
            self.is_lost = self._key in verdict.lost
            self.is_canceled = self._key in verdict.canceled
            if self.is_lost or self.is_canceled:
                self._stop.set()
            self._hear(beat.step or 0)

    def _hear(self, step: int, *, is_away: bool = False) -> None:
        with self._heard:
            self._heard_step, self._is_away = step, is_away
            self._heard.notify_all()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
