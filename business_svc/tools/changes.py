"""Tells those who watch a run in this process that it changed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager


class RunChanges:
    """Wakes watchers by run; those in other processes have to look from time to time."""

    def __init__(self) -> None:
        self._watchers: dict[uuid.UUID, set[asyncio.Event]] = {}

    @contextmanager
    def subscribe(self, run_id: uuid.UUID) -> Iterator[asyncio.Event]:
        """Give an event that is set at each change of the run, until the block ends."""
        changed = asyncio.Event()
        watchers = self._watchers.setdefault(run_id, set())
        watchers.add(changed)
        try:
            yield changed
        finally:
            watchers.discard(changed)
            if not watchers:
                self._watchers.pop(run_id, None)

    def notify(self, run_id: uuid.UUID) -> None:
        """Wake everybody who watches the run."""
        for changed in self._watchers.get(run_id, ()):
            changed.set()
