"""Brings leases to the region's replicas and answers for those that cannot speak for themselves.

A lease has three keepers in turn: the agent while the lease waits for a free replica, the replica
once it works (it reports its own progress), and again the agent when the replica dies.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import Counter, Gauge

from inference.connectors.client import SchedulerAway
from inference.connectors.protocol import (
    Beat,
    Consumer,
    Failure,
    Fault,
    Lease,
    LeaseKey,
    Offer,
)
from inference.regions.execution import deliver
from meshkit.stubs import RemoteError

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 20.0
AWAY_PAUSE_SECONDS: Final = 0.5
# How often leases that wait are kept alive; also how soon their cancel is seen.
BEAT_SECONDS: Final = 1.0
NEWEST_WEIGHT: Final = 0.2

HELD = Gauge("reelmesh_region_leases_held", "Leases that this agent has dispatched")
ENDED = Counter("reelmesh_region_leases_ended_total", "Leases by how they ended", ["ending"])


class ReplicaDied(Exception):
    """The replica that had the lease is gone."""


class ReplicaBroke(Exception):
    """The replica raised what its contract does not know; the message is for the log."""


class Workers(Protocol):
    """The region's replicas."""

    def slots(self) -> int:
        """How many leases the region can hold now, working and waiting."""
        ...

    def models(self) -> frozenset[str]:
        """The models that the replicas serve."""
        ...

    async def run(self, lease: Lease, on_start: Callable[[], None]) -> str:
        """Carry a lease out on a replica, calling back when work begins; says how it ended.

        Raises:
            ReplicaDied: the replica is gone.
            ReplicaBroke: the replica raised something unforeseen.
        """
        ...


@dataclass(slots=True)
class _Carried:
    lease: Lease
    task: asyncio.Task[None] | None = None
    is_started: bool = False
    started_at: float = 0.0


class Dispatcher:
    """Leases as much as the replicas can hold and sees each lease to its end.

    `run_seconds` is how long a lease keeps a replica busy, the newest ones counting most.
    """

    def __init__(self, region: str, agent_id: str, connector: Consumer, workers: Workers) -> None:
        self._region = region
        self._agent_id = agent_id
        self._connector = connector
        self._workers = workers
        self._carried: dict[LeaseKey, _Carried] = {}
        self._changed = asyncio.Event()
        self.is_connected = False
        self.run_seconds = 0.0

    @property
    def held(self) -> int:
        """How many leases are dispatched and not over."""
        return len(self._carried)

    async def poll(self) -> None:
        """Lease and dispatch for ever; cancel it to lease no more."""
        while True:
            room = self._workers.slots() - len(self._carried)
            if room <= 0:
                await self._wait(BEAT_SECONDS)
                continue
            models = self._workers.models()
            # After a silence the first question does not wait, so that its answer comes at once.
            wait = WAIT_SECONDS if self.is_connected else 0.0
            offer = Offer(self._region, self._agent_id, room, models, models, wait)
            try:
                leases = await self._connector.lease(offer)
            except (SchedulerAway, RemoteError) as error:
                self.is_connected = False
                logger.warning("cannot lease", extra={"why": str(error)})
                await asyncio.sleep(AWAY_PAUSE_SECONDS)  # The pause between attempts.
                continue
            self.is_connected = True
            for lease in leases:
                self._dispatch(lease)

    async def beat(self) -> None:
        """Keep the leases that wait alive, for ever; drops those that are lost or canceled."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)  # The rhythm of the beats.
            waiting = [c.lease.key for c in self._carried.values() if not c.is_started]
            if not waiting:
                continue
            try:
                verdict = await self._connector.extend([Beat(key) for key in waiting])
            except (SchedulerAway, RemoteError) as error:
                logger.warning("cannot extend", extra={"why": str(error)})
                continue
            for key in verdict.lost:
                await self._drop(key)
            for key in verdict.canceled:
                await self._give_up(Failure(key, Fault.CANCELED, "CANCELED"))

    async def drain(self, seconds: float) -> None:
        """Hand back what has not started and wait for the rest, at most this long.

        What still works then goes on without this agent: its replica answers for it.
        """
        for key in [c.lease.key for c in self._carried.values() if not c.is_started]:
            await self._give_up(Failure(key, Fault.HANDED_BACK, "DRAINED"))
        tasks = [c.task for c in self._carried.values() if c.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def _dispatch(self, lease: Lease) -> None:
        carried = _Carried(lease)
        self._carried[lease.key] = carried
        carried.task = asyncio.create_task(self._carry(carried))
        HELD.set(len(self._carried))

    async def _carry(self, carried: _Carried) -> None:
        def on_start() -> None:
            carried.is_started = True
            carried.started_at = time.monotonic()

        key = carried.lease.key
        try:
            ending = await self._workers.run(carried.lease, on_start)
        except ReplicaDied as error:
            ending = "replica_died"
            logger.warning("replica died", extra={"job": key.job_id, "why": str(error)})
            await self._report(
                Failure(key, Fault.ATTEMPT, "REPLICA_DIED", "the replica that drew it died")
            )
        except ReplicaBroke as error:
            ending = "replica_broke"
            logger.warning("replica broke", extra={"job": key.job_id, "why": str(error)})
            await self._report(
                Failure(key, Fault.ATTEMPT, "REPLICA_ERROR", "the replica could not draw it")
            )
        finally:
            self._carried.pop(key, None)
            HELD.set(len(self._carried))
            self._changed.set()
        ENDED.labels(ending).inc()
        if carried.is_started:
            self._measure(time.monotonic() - carried.started_at)

    def _measure(self, seconds: float) -> None:
        before = self.run_seconds or seconds
        self.run_seconds = before + NEWEST_WEIGHT * (seconds - before)

    async def _give_up(self, failure: Failure) -> None:
        """End a lease that has not started; one that has started meanwhile goes on."""
        carried = self._carried.get(failure.key)
        if carried is None or carried.is_started:
            return
        await self._drop(failure.key)
        await self._report(failure)

    async def _drop(self, key: LeaseKey) -> None:
        carried = self._carried.get(key)
        if carried is not None and carried.task is not None:
            carried.task.cancel()
            await asyncio.gather(carried.task, return_exceptions=True)

    async def _report(self, failure: Failure) -> None:
        try:
            told = await deliver(lambda: self._connector.fail(failure))
        except RemoteError as error:
            # One lease that cannot be given up ends by itself; the others go on.
            logger.warning(
                "a failure was refused", extra={"job": failure.key.job_id, "why": str(error)}
            )
            return
        if not told:
            logger.info("the lease was lost before", extra={"job": failure.key.job_id})

    async def _wait(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
