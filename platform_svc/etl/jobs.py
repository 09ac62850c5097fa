"""Background work of the ETL service: makes runs, in processes of their own, and checks."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Gauge

from meshkit.invariants import InvariantCheck
from platform_svc.etl.commands import EtlCommands
from platform_svc.etl.queries import EtlQueries
from platform_svc.etl.run import CHECKS, Failure, Run
from platform_svc.etl.store import EtlStore

# How long a run that another process was asked for may wait here.
POLL: Final = timedelta(seconds=30)
RUN_SECONDS_MAX: Final = 1800.0
STOP_SECONDS_MAX: Final = 5.0
RUNS_KEPT_FOR: Final = timedelta(days=30)
BY_SCHEDULE: Final = "schedule"
LOADER: Final = (sys.executable, "-m", "platform_svc.etl")
STALE: Final = "a run has ended well within a day"
STALE_AFTER: Final = timedelta(days=1)

OFFENDERS = Gauge("reelmesh_etl_offenders", "What breaks a check of the lake", ["invariant"])

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runner:
    """Makes each run in a process of its own, one at a time, as asked and at each interval.

    PyArrow's memory goes back with that process, and a run that dies takes nobody along.
    `environment` is what the process gets; None means this one's.
    """

    commands: EtlCommands
    interval: timedelta
    environment: Mapping[str, str] | None = None

    async def run(self) -> None:
        """Make runs for ever; the first by schedule is due an interval from now."""
        due = self.commands.ambient.now() + self.interval
        while True:
            self.commands.asked.clear()
            await self.make_all()
            due = await self._wait(due)

    async def make_all(self) -> int:
        """Make the runs that wait, and say how many there were."""
        made = 0
        while (run := await self.commands.claim()) is not None:
            await self.make(run)
            made += 1
        return made

    async def make(self, run: Run) -> None:
        """Make a run that was claimed."""
        # Not by the event loop, which would fork (see tests/architecture/test_processes.py).
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - it returns at once; our own command
            [*LOADER, "--run-id", str(run.id)],
            stdin=subprocess.DEVNULL,
            env=None if self.environment is None else dict(self.environment),
        )
        failure = Failure.KILLED
        try:
            status = await asyncio.to_thread(process.wait, RUN_SECONDS_MAX)
            failure = Failure.KILLED if status < 0 else Failure.ERROR
        except subprocess.TimeoutExpired:
            failure = Failure.TIMED_OUT
        finally:
            await asyncio.shield(asyncio.to_thread(_end, process))
            if await self.commands.give_up(run, failure):
                facts = {"run_id": str(run.id), "failure": failure.value}
                logger.error("a run of the loader died", extra=facts)

    async def _wait(self, due: datetime) -> datetime:
        """Wait until a run is asked for or due; gives when the next one is due."""
        left = due - self.commands.ambient.now()
        try:
            async with asyncio.timeout(max(min(left, POLL).total_seconds(), 0)):
                await self.commands.asked.wait()
        except TimeoutError:
            if left <= POLL:
                await self._by_schedule()
                return self.commands.ambient.now() + self.interval
        return due

    async def _by_schedule(self) -> None:
        now = self.commands.ambient.now()
        async with self.commands.sessions.begin() as session:
            await EtlStore(session).sweep(now - RUNS_KEPT_FOR)
        await self.commands.ask(BY_SCHEDULE)


def invariant_check(
    commands: EtlCommands, queries: EtlQueries, interval: timedelta
) -> InvariantCheck:
    """Give the check that shows what the newest run found, and whether runs end well at all."""
    began = commands.ambient.now()

    async def look() -> Mapping[str, Sequence[str]]:
        newest = await queries.newest_finished()
        now = commands.ambient.now()
        found = dict(newest.outcome.offenders) if newest is not None else {}
        ended = began if newest is None or newest.finished_at is None else newest.finished_at
        if ended < now - STALE_AFTER:
            found[STALE] = [f"since {ended.isoformat(timespec='seconds')}"]
        return found

    return InvariantCheck("etl-invariants", OFFENDERS, (*CHECKS, STALE), look, interval)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process if it still runs."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
