"""An object store that stops or fails at one step, and calls that are cut off there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from meshkit.object_store import S3ObjectStore, StoreUnavailable

STEPS = ("download", "put_file", "delete")
Step = tuple[str, str]  # Of STEPS; "before" or "after" its effect.


@dataclass(frozen=True)
class Gate:
    """Where a call waits: it has been reached, it may go on, it has been left."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        self.reached.set()
        try:
            await self.opened.wait()
        finally:
            self.left.set()


@dataclass(frozen=True)
class Held:
    """A call that waits at a gate."""

    call: asyncio.Future[Any]
    gate: Gate

    async def go_on(self) -> Any:
        """Give the call's answer."""
        self.gate.opened.set()
        return await self.call


class FaultyStore:
    """The run's store; what a test has set for a step happens once."""

    def __init__(self, store: S3ObjectStore) -> None:
        self._store = store
        self._faults: dict[Step, Callable[[], Awaitable[None]]] = {}

    def hold(self, step: Step) -> Gate:
        """Let the next call wait at the step."""
        self._faults[step] = gate = Gate()
        return gate

    def fail(self, step: Step) -> None:
        """Let the next call see a store that is away; `after`: that has done it all the same."""

        async def fault() -> None:
            raise StoreUnavailable("away")

        self._faults[step] = fault

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._store, name)
        if name not in STEPS:
            return inner

        async def step(*args: Any, **options: Any) -> Any:
            await self._reach(name, "before")
            answer = await inner(*args, **options)
            await self._reach(name, "after")
            return answer

        return step

    async def _reach(self, *step: str) -> None:
        fault = self._faults.pop((step[0], step[1]), None)
        if fault is not None:
            await fault()


async def held_at(store: FaultyStore, step: Step, call: Callable[[], Any]) -> Held:
    """Begin a call that waits at the step."""
    gate = store.hold(step)
    held = Held(asyncio.ensure_future(call()), gate)
    reached = asyncio.ensure_future(gate.reached.wait())
    await asyncio.wait([held.call, reached], return_when=asyncio.FIRST_COMPLETED)
    reached.cancel()
    assert not held.call.done(), held.call
    return held


async def cut_off(store: FaultyStore, step: Step, call: Callable[[], Any]) -> None:
    """Make a call that ends at the step, with nothing done after it."""
    held = await held_at(store, step, call)
    held.call.cancel()
    await held.gate.left.wait()
