"""Wakes the background work of this process; that of others looks from time to time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Waker:
    """A bell that one loop waits for."""

    rung: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Let the loop look now; never blocks."""
        self.rung.set()

    async def wait(self, timeout_seconds: float) -> None:
        """Wait until woken, or for this time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.rung.wait()
        except TimeoutError:
            pass
        self.rung.clear()
