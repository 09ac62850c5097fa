"""A way for a test to wait for what happened, instead of sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

POLL_SECONDS: Final = 0.01


class Signal(Generic[T]):
    """Values that code under test emits and a test waits for, in order."""

    def __init__(self) -> None:
        self._values: asyncio.Queue[T] = asyncio.Queue()

    def emit(self, value: T) -> None:
        """Hand a value to whoever waits; never blocks."""
        self._values.put_nowait(value)

    async def wait(self, timeout: float = 20.0) -> T:  # noqa: ASYNC109 - a bound for one wait.
        """Give the next value.

        Raises:
            TimeoutError: nothing was emitted within `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            return await self._values.get()

    def drain(self) -> list[T]:
        """Give the values that nobody has waited for yet."""
        values = []
        while not self._values.empty():
            values.append(self._values.get_nowait())
        return values


async def eventually(holds: Callable[[], Awaitable[bool]], timeout: float = 20.0) -> None:  # noqa: ASYNC109 - a bound for one wait.
    """Wait until a fact about a store holds, for what emits no signal.

    Raises:
        TimeoutError: it did not hold within `timeout` seconds.
    """
    async with asyncio.timeout(timeout):
        while not await holds():  # noqa: ASYNC110 - a store has no event to wait for.
            await asyncio.sleep(POLL_SECONDS)
