"""Tells those who watch a run in this process that it changed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Subscription:
    """What one watcher waits for: `recorded` says that the run has to be read again."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    recorded: bool = True

    async def wait(self, timeout_seconds: float) -> None:
        """Wait for a change; without one in time, assume that another process made one."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.changed.wait()
        except TimeoutError:
            self.recorded = True
        self.changed.clear()


class RunChanges:
    """Wakes watchers by run; those in other processes have to look from time to time."""

    def __init__(self) -> None:
        self._watchers: dict[uuid.UUID, set[Subscription]] = {}
        self.is_draining = False

    def drain(self) -> None:
        """Wake every watcher, to learn that this process ends."""
        self.is_draining = True
        for watchers in self._watchers.values():
            for subscription in watchers:
                subscription.changed.set()

    @contextmanager
    def subscribe(self, run_id: uuid.UUID) -> Iterator[Subscription]:
        """Give what is woken at each change of the run, until the block ends."""
        subscription = Subscription()
        watchers = self._watchers.setdefault(run_id, set())
        watchers.add(subscription)
        try:
            yield subscription
        finally:
            watchers.discard(subscription)
            if not watchers and self._watchers.get(run_id) is watchers:
                del self._watchers[run_id]

    def notify(self, run_id: uuid.UUID) -> None:
        """Wake everybody who watches the run."""
        for subscription in self._watchers.get(run_id, ()):
            subscription.recorded = True
            subscription.changed.set()

    @property
    def watched(self) -> int:
        """How many runs are being watched."""
        return len(self._watchers)
