"""Starts components side by side in the order of their needs, and keeps them running."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from deploy.local.component import Component
from deploy.local.layout import Layout
from deploy.local.logfiles import bound_logs
from deploy.local.processes import forget_identity, read_identities, stop_family
from deploy.local.runner import Runner
from deploy.local.status import SUPERVISOR, PlatformStatus, ProcessStatus

STALE_GRACE_SECONDS: Final = 5.0
LOG_ROUND_SECONDS: Final = 10.0


class Observer(Protocol):
    """Whoever shows what happens."""

    def changed(self, status: ProcessStatus) -> None:
        """Take note that a process has another state now."""

    def reported(self, message: str) -> None:
        """Show a message for people."""


class Supervisor:
    """Runs a set of components; `start`, then `stop`, once each and on one event loop."""

    def __init__(
        self,
        layout: Layout,
        components: Sequence[Component],
        status: PlatformStatus,
        observer: Observer,
    ) -> None:
        names = {component.name for component in components}
        assert all(names.issuperset(component.needs) for component in components)
        self._layout = layout
        self._status = status
        self._observer = observer
        self._runners: dict[str, Runner] = {}
        for component in components:
            name = component.name
            process = ProcessStatus(name, component.version, component.port)
            status.processes[name] = process
            self._runners[name] = Runner(component, layout, process, self)
        self._rounds: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start everything and return when all components are ready.

        Raises:
            LocalFailure: one cannot be started; what was started keeps running until `stop`.
        """
        await self.stop_stale()
        self._began = asyncio.get_running_loop().time()
        self._rounds = asyncio.create_task(self._bound_logs())
        for runner in self._runners.values():
            runner.launch()
        ready = [asyncio.create_task(runner.settled()) for runner in self._runners.values()]
        try:
            # The first failure ends the wait: the others may need what failed.
            await asyncio.gather(*ready)
        finally:
            for task in ready:
                task.cancel()
        self._status.ready = True
        self._status.write(self._layout)

    async def stop(self) -> None:
        """Stop everything, those that others need last; harmless when nothing runs."""
        if self._rounds is not None:
            self._rounds.cancel()
            with suppress(asyncio.CancelledError):
                await self._rounds
        self._status.ready = False
        stopping = {name: asyncio.Event() for name in self._runners}

        async def stop_one(runner: Runner) -> None:
            name = runner.component.name
            users = [r.component.name for r in self._runners.values() if name in r.component.needs]
            await asyncio.gather(*(stopping[user].wait() for user in users))
            await runner.stop()
            stopping[name].set()

        await asyncio.gather(*(stop_one(runner) for runner in self._runners.values()))
        await self.stop_stale()

    async def stop_stale(self) -> None:
        """Stop what an earlier supervisor of this data folder left running."""
        stale = [one for one in read_identities(self._layout.pids) if one.name != SUPERVISOR]
        living = [one for one in stale if one.process() is not None]
        if living:
            names = ", ".join(one.name for one in living)
            self._observer.reported(f"Stopping what an earlier run left behind: {names}")
        await stop_family(stale, f"{self._layout.key}/", grace_seconds=STALE_GRACE_SECONDS)
        for one in stale:
            forget_identity(self._layout.pids, one.name)

    async def ready(self, name: str) -> None:
        """Return when a component is ready for the first time."""
        await self._runners[name].ready.wait()

    def restarted(self, name: str) -> None:
        """Restart those that cannot go on after a component restarted."""
        for runner in self._runners.values():
            if name in runner.component.follows:
                runner.restart()

    def publish(self, status: ProcessStatus) -> None:
        """Write the state file and tell the observer."""
        with suppress(OSError):  # A full disk must not stop the supervision.
            self._status.write(self._layout)
        self._observer.changed(status)

    def elapsed(self) -> float:
        """Give the seconds since the start."""
        return asyncio.get_running_loop().time() - self._began

    def report(self, message: str) -> None:
        """Show a message for people."""
        self._observer.reported(message)

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.to_thread(bound_logs, self._layout.logs)
            await asyncio.sleep(LOG_ROUND_SECONDS)
