"""Keeps one component running: start, health, restart, stop."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from deploy.local.component import Component, NotReady, Unwell
from deploy.local.failures import ComponentFailed, LocalFailure, describe
from deploy.local.layout import Layout
from deploy.local.logfiles import last_lines
from deploy.local.processes import (
    Identity,
    forget_identity,
    identify,
    spawn,
    stop_family,
    write_identity,
)
from deploy.local.restarts import Restarts
from deploy.local.status import ProcessStatus, State

CHECK_SECONDS: Final = 0.2
CHECK_SECONDS_MAX: Final = 1.0
CHECK_GROWTH: Final = 1.2
HEALTH_SECONDS: Final = 5.0
CHECK_TIMEOUT_SECONDS: Final = 10.0
UNHEALTHY_CHECKS: Final = 3
# A process that fails its checks for so long is stuck, and is started anew.
STUCK_CHECKS: Final = 20
KEEP_PID: Final = -1


class Stage(Protocol):
    """What a component's keeper asks of the whole."""

    async def ready(self, name: str) -> None:
        """Return when another component is ready for the first time."""

    def restarted(self, name: str) -> None:
        """Hear that a component is being started anew."""

    def publish(self, status: ProcessStatus) -> None:
        """Hear that a status changed."""

    def report(self, message: str) -> None:
        """Show a message for people."""

    def elapsed(self) -> float:
        """Give the seconds since the start of the platform."""


class Runner:
    """Keeps one component running until `stop`."""

    def __init__(
        self, component: Component, layout: Layout, status: ProcessStatus, stage: Stage
    ) -> None:
        self.component = component
        self.ready = asyncio.Event()
        self._layout = layout
        self._status = status
        self._stage = stage
        self._mark = f"{layout.key}/{component.name}/"
        self._restarts = Restarts()
        self._restart = asyncio.Event()
        self._failure: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._identity: Identity | None = None
        self._loop_reported = False

    def launch(self) -> None:
        """Begin, as soon as what it needs is ready."""
        self._failure = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())

    def restart(self) -> None:
        """Start the process anew."""
        self._restart.set()

    async def settled(self) -> None:
        """Return when the component is ready for the first time.

        Raises:
            LocalFailure: it cannot be started.
        """
        assert self._failure is not None
        ready = asyncio.create_task(self.ready.wait())
        either: set[asyncio.Future[Any]] = {ready, self._failure}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._failure.done():
            self._failure.result()

    async def stop(self) -> None:
        """Stop the process and all that it started; harmless when it does not run."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._failure is not None and self._failure.done():
            self._failure.exception()  # Was raised by `settled`, or nobody waits any more.
        if self._identity is not None:
            self._set(State.STOPPING)
        await self._end()
        self._set(State.STOPPED, pid=None)

    async def _run(self) -> None:
        assert self._failure is not None
        try:
            for name in self.component.needs:
                await self._stage.ready(name)
            while True:
                await self._live_once()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            failure = self._as_failure(error)
            self._set(State.CRASH_LOOP, detail=str(failure).partition("\n")[0])
            self._failure.set_exception(failure)
            if self.ready.is_set():
                self._stage.report(str(failure))

    async def _live_once(self) -> None:
        """Start the process, wait until it ends, and wait before the next start."""
        loop = asyncio.get_running_loop()
        self._restart.clear()
        started = loop.time()
        self._set(State.STARTING, pid=None)
        try:
            reason = await self._live()
        except Exception as error:
            # What fails at first will fail again; one that ran may be helped by another start.
            if not self.ready.is_set():
                raise
            reason = f"it cannot be started ({describe(error)})"
        await self._end()
        delay = self._restarts.exited(started=started, now=loop.time())
        self._status.restarts = self._restarts.count
        await self._note_exit(reason, delay)
        self._stage.restarted(self.component.name)
        await asyncio.sleep(delay)

    async def _live(self) -> str:
        """Start the process and return why it has to be started anew."""
        await self.component.prepare()
        process = await self._start()
        exited = asyncio.create_task(process.wait())
        try:
            return await self._watch(exited)
        finally:
            exited.cancel()

    def _as_failure(self, error: Exception) -> LocalFailure:
        if isinstance(error, LocalFailure):
            return error
        log = self._layout.log(self.component.name)
        return ComponentFailed(self.component.name, describe(error), log, last_lines(log))

    async def _start(self) -> asyncio.subprocess.Process:
        name = self.component.name
        process = await spawn(self.component, self._mark, self._layout.log(name))
        self._process = process
        self._identity = identify(
            name, process.pid, self._mark, stop_signal=self.component.stop_signal
        )
        if self._identity is not None:
            write_identity(self._layout.pids, self._identity)
        self._set(State.STARTING, pid=process.pid)
        return process

    async def _watch(self, exited: asyncio.Task[int]) -> str:
        """Return why the process has to be started anew: it ended, or is stuck."""
        restart = asyncio.create_task(self._restart.wait())
        ends = {exited, restart}
        try:
            return (
                await self._until_ready(exited, ends)
                or await self._while_healthy(ends)
                or await self._why(exited)
            )
        finally:
            restart.cancel()

    async def _why(self, exited: asyncio.Task[int]) -> str:
        if exited.done():
            code = exited.result()
            return f"it ended with {f'signal {-code}' if code < 0 else f'status {code}'}"
        return "what it depends on was restarted"

    async def _until_ready(
        self, exited: asyncio.Task[int], ends: set[asyncio.Task[Any]]
    ) -> str | None:
        """Return nothing when the process is ready or has ended, else why it must end."""
        delay = CHECK_SECONDS
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.component.ready_seconds
        while not await _any_done(ends, delay):
            problem = await self._problem()
            # The answer may have come from another program on the port of one that has ended.
            if problem is None and not exited.done():
                self._becomes_ready()
                return None
            if loop.time() > deadline:
                return f"it was not ready in {self.component.ready_seconds:.0f} s ({problem})"
            self._set(State.STARTING, detail=str(problem))
            delay = min(delay * CHECK_GROWTH, CHECK_SECONDS_MAX)
        return None

    async def _while_healthy(self, ends: set[asyncio.Task[Any]]) -> str | None:
        """Return nothing when the process has ended, else why it must end."""
        failed = 0
        while not await _any_done(ends, HEALTH_SECONDS):
            problem = await self._problem()
            failed = 0 if problem is None else failed + 1
            if problem is None:
                self._set(State.READY, detail="")
            elif failed >= STUCK_CHECKS and not isinstance(problem, Unwell):
                return f"it is stuck ({problem})"
            elif failed >= UNHEALTHY_CHECKS:
                self._set(State.UNHEALTHY, detail=str(problem))
        return None

    async def _problem(self) -> NotReady | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await self.component.check()
        except NotReady as error:
            return error
        except TimeoutError:
            return NotReady("the health check got no answer")
        except Exception as error:  # noqa: BLE001 - a check that breaks must not end the watch
            return NotReady(f"the health check failed: {describe(error)}")
        return None

    def _becomes_ready(self) -> None:
        if self._status.ready_seconds is None:
            self._status.ready_seconds = round(self._stage.elapsed(), 2)
        self._loop_reported = False
        self._set(State.READY, detail="")
        self.ready.set()

    async def _note_exit(self, reason: str, delay: float) -> None:
        """Report a restart or a crash loop; a component that was never ready fails at last."""
        log = self._layout.log(self.component.name)
        lines = await asyncio.to_thread(last_lines, log)
        if not self.ready.is_set() and self._restarts.count >= self.component.first_starts_max:
            raise ComponentFailed(self.component.name, reason, log, lines)
        if not self._restarts.looping(asyncio.get_running_loop().time()):
            self._set(State.RESTARTING, pid=None, detail=reason)
            again = f"starting it again in {delay:.1f} s"
            self._stage.report(f"{self.component.name}: {reason}; {again}")
            return
        self._set(State.CRASH_LOOP, pid=None, detail=reason)
        if not self._loop_reported:
            self._loop_reported = True
            self._stage.report(
                f"{self.component.name} crashes again and again ({reason}); it is tried again "
                f"every few seconds. The last lines of {log}:\n{lines}"
            )

    async def _end(self) -> None:
        """Stop the process with all that it started, and forget it."""
        if self._identity is None:
            return
        await stop_family(
            [self._identity],
            self._mark,
            grace_seconds=self.component.grace_seconds,
        )
        if self._process is not None:
            await self._process.wait()
        forget_identity(self._layout.pids, self.component.name)
        self._identity = None

    def _set(self, state: State, *, detail: str | None = None, pid: int | None = KEEP_PID) -> None:
        status = self._status
        before = (status.state, status.detail, status.pid)
        status.state = state
        status.detail = status.detail if detail is None else detail
        status.pid = status.pid if pid == KEEP_PID else pid
        if before != (status.state, status.detail, status.pid):
            self._stage.publish(status)


async def _any_done(tasks: set[asyncio.Task[Any]], seconds: float) -> bool:
    """Wait for one of the tasks, at most so long."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)
