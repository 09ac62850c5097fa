"""Keeps background loops running: restarts them with growing pauses and counts what failed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

from prometheus_client import Counter

PAUSE_SECONDS_MIN: Final = 0.1
PAUSE_SECONDS_MAX: Final = 30.0
# A loop that ran this long was well; its next failure starts with the short pause again.
WELL_AFTER_SECONDS: Final = 60.0
CANCEL_AGAIN_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)

FAILURES: Final = Counter(
    "reelmesh_task_failures", "Background work that raised, by name", ["task"]
)


class Supervisor:
    """Runs named background loops from entering until leaving its context.

    A loop that raises is restarted after a pause that doubles from 0.1 to 30 seconds; a loop
    that returns is done. Loops given before the context is entered start with it.
    """

    def __init__(
        self,
        *,
        pause_seconds_min: float = PAUSE_SECONDS_MIN,
        pause_seconds_max: float = PAUSE_SECONDS_MAX,
    ) -> None:
        self._pauses = (pause_seconds_min, pause_seconds_max)
        self._waiting: list[tuple[str, Callable[[], Awaitable[None]]]] | None = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failing: set[str] = set()

    @property
    def failing(self) -> frozenset[str]:
        """The names of loops that have failed and wait to be restarted."""
        return frozenset(self._failing)

    def start(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run the loop under the name, which must be free."""
        assert name not in self._tasks, f"{name} runs already"
        if self._waiting is not None:
            self._waiting.append((name, loop))
            return
        self._tasks[name] = asyncio.create_task(self._keep(name, loop), name=name)

    async def __aenter__(self) -> Self:
        waiting, self._waiting = self._waiting or [], None
        for name, loop in waiting:
            self.start(name, loop)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Cancel every loop and wait until all have ended; harmless when done twice."""
        running = {task for task in self._tasks.values() if not task.done()}
        while running:
            for task in running:
                task.cancel()
            # A library may turn the cancellation into an error of its own, and a loop may go on
            # after that: so it is told again until it has ended.
            _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)
        self._tasks.clear()

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        shortest, longest = self._pauses
        pause = shortest
        while True:
            began = time.monotonic()
            if await attempt(name, loop()):
                return
            if time.monotonic() - began >= WELL_AFTER_SECONDS:
                pause = shortest
            self._failing.add(name)
            await asyncio.sleep(pause)  # The pause is the point; stop() cancels it.
            self._failing.discard(name)
            pause = min(pause * 2, longest)


async def attempt(name: str, work: Awaitable[Any]) -> bool:
    """Do one piece of background work and say whether it succeeded.

    A failure is logged with its traceback and counted under the name; cancellation passes. Names
    are few and fixed, since each is a metric label.
    """
    succeeded = True
    try:
        await work
    except Exception:  # noqa: BLE001 - the one place where background failures end.
        succeeded = False
        FAILURES.labels(task=name).inc()
        _log.exception("background work failed", extra={"task": name})
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        # Some drivers turn a cancellation into an error of their own, or lose it.
        raise asyncio.CancelledError
    return succeeded


async def periodic(name: str, every_seconds: float, work: Callable[[], Awaitable[Any]]) -> None:
    """Do the work for ever with a pause after each time, whether it succeeded or not."""
    while True:
        await attempt(name, work())
        await asyncio.sleep(every_seconds)  # The pause is the point; cancelling ends it.
