"""Tells the watchers in this process that a job has changed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.postgres import after_commit


class JobHub:
    """Events by job, only for jobs that somebody watches."""

    def __init__(self) -> None:
        self._watchers: dict[uuid.UUID, set[asyncio.Event]] = {}
        self.is_draining = False

    def drain(self) -> None:
        """Wake every watcher, to learn that this process ends."""
        self.is_draining = True
        self.changed(list(self._watchers))

    def changed(self, job_ids: Iterable[uuid.UUID]) -> None:
        """Wake everybody who watches one of these jobs."""
        for job_id in job_ids:
            for event in self._watchers.get(job_id, ()):
                event.set()

    @contextmanager
    def watch(self, job_id: uuid.UUID) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the job changes, until the end of the block."""
        event = asyncio.Event()
        watchers = self._watchers.setdefault(job_id, set())
        watchers.add(event)
        try:
            yield event
        finally:
            watchers.discard(event)
            if not watchers:
                self._watchers.pop(job_id, None)


class Changes:
    """Announces committed changes: to the watchers here, and to the scheduler."""

    def __init__(self, hub: JobHub, notify_scheduler: Callable[[], None]) -> None:
        self._hub = hub
        self._notify_scheduler = notify_scheduler

    def announce(
        self, session: AsyncSession, job_ids: Collection[uuid.UUID], *, queued: bool = False
    ) -> None:
        """Wake others once the transaction has committed; `queued` if there is new work."""
        after_commit(session, lambda: self._hub.changed(job_ids))
        if queued:
            after_commit(session, self._notify_scheduler)
