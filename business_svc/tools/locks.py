"""Lets one task of this process at a time drive a run."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class RunLocks:
    """One lock per run, kept only while somebody holds it or waits for it.

    Correctness does not rest on it, since other processes may drive the same run: it spares
    calls that would be made twice.
    """

    def __init__(self) -> None:
        self._locks: dict[uuid.UUID, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def held(self, run_id: uuid.UUID) -> AsyncIterator[None]:
        """Hold the run's lock for the length of the block."""
        lock, users = self._locks.get(run_id, (asyncio.Lock(), 0))
        self._locks[run_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[run_id]
            if users > 1:
                self._locks[run_id] = (lock, users - 1)
            else:
                del self._locks[run_id]
