"""Matches parked offers with waiting jobs: reads a snapshot, decides, grants, hands out.

The loop sleeps until a job is queued or an offer arrives; the tick is only a safety net for a
wake-up that another process lost.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from prometheus_client import Counter, Histogram

from inference.scheduler.policy import decide
from inference.scheduler.snapshot import Placement, RegionDemand, Snapshot, Waiting
from meshkit.clock import Ambient

L = TypeVar("L")

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 1.0
ROUNDS_MAX: Final = 4  # Rounds that follow one another when a grant loses a race.

ROUND_SECONDS = Histogram(
    "reelmesh_scheduler_round_seconds",
    "Time from reading a snapshot to granted leases",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
PLACEMENTS = Counter("reelmesh_scheduler_placements_total", "Jobs placed", ["region"])


Choose = Callable[[Waiting], Sequence[Placement]]


class Backlog(Protocol[L]):
    """Where jobs wait; the scheduler knows nothing else of them."""

    async def place(
        self, models: Sequence[str], regions: Collection[str], *, room: int, choose: Choose
    ) -> Mapping[uuid.UUID, L]:
        """Show what waits for these models and how the regions stand; lease what is chosen.

        A job that is gone by then is missing from the answer. Without a waiting job nothing is
        chosen from.
        """
        ...

    async def hand_back(self, leases: Sequence[L]) -> None:
        """Take back leases that nobody is there to receive any more."""
        ...


class Alarm(Protocol):
    """What wakes the loop; `meshkit.wakeup.Wakeup` is one."""

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for a notification, at most this long."""
        ...

    def notify(self) -> None:
        """Wake the waiter."""
        ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a region said of itself when it last asked for work."""

    at: datetime
    agent_id: str
    models: frozenset[str]
    warm_models: frozenset[str]


@dataclass(slots=True)
class _Parked(Generic[L]):
    demand: RegionDemand
    patient: bool
    answer: asyncio.Future[tuple[L, ...]] = field(default_factory=asyncio.Future)
    abandoned: bool = False

    def settle(self, leases: tuple[L, ...]) -> None:
        if not self.answer.done():
            self.answer.set_result(leases)


class SchedulerLoop(Generic[L]):
    """Parks the regions' offers and grants them work as it comes."""

    def __init__(
        self,
        backlog: Backlog[L],
        alarm: Alarm,
        ambient: Ambient,
        prices: Mapping[str, float] | None = None,
    ) -> None:
        self._backlog = backlog
        self._alarm = alarm
        self._ambient = ambient
        self._prices = prices or {}
        self._ids = itertools.count(1)
        self.sightings: dict[str, Sighting] = {}
        self._parked: dict[int, _Parked[L]] = {}
        self._is_draining = False

    def drain(self) -> None:
        """Answer every parked offer with nothing, and those that come as well."""
        self._is_draining = True
        for parked in self._parked.values():
            parked.settle(())
        self._parked.clear()

    async def run(self) -> None:
        """Place jobs whenever something changed; never returns."""
        while True:
            await self._alarm.wait(TICK_SECONDS)
            for _ in range(ROUNDS_MAX):
                if not await self._round():
                    break
            self._answer_impatient()

    async def offer(
        self,
        region: str,
        agent_id: str,
        *,
        capacity: int,
        models: frozenset[str],
        warm_models: frozenset[str],
        wait_seconds: float,
    ) -> tuple[L, ...]:
        """Offer to take up to `capacity` jobs; gives the leases, or none after the wait."""
        if self._is_draining:
            return ()
        price = self._prices.get(region, 1.0)
        demand = RegionDemand(
            next(self._ids), region, agent_id, capacity, models, warm_models, price
        )
        self.sightings[region] = Sighting(self._ambient.now(), agent_id, models, warm_models)
        parked = _Parked[L](demand, patient=wait_seconds > 0)
        self._parked[demand.demand_id] = parked
        self._alarm.notify()
        try:
            timeout = wait_seconds if parked.patient else TICK_SECONDS
            return await asyncio.wait_for(asyncio.shield(parked.answer), timeout)
        except TimeoutError:
            if self._parked.pop(demand.demand_id, None) is not None:
                return ()
            return await asyncio.shield(parked.answer)  # A grant is on its way.
        finally:
            parked.abandoned = True
            self._parked.pop(demand.demand_id, None)

    async def _round(self) -> bool:
        """Place what can be placed; True when another round may find more."""
        wanted = {model for parked in self._parked.values() for model in parked.demand.models}
        if not wanted:
            return False
        begin = time.monotonic()
        room = sum(parked.demand.capacity for parked in self._parked.values())
        regions = {parked.demand.region for parked in self._parked.values()}
        placements: list[Placement] = []
        in_hand: dict[int, _Parked[L]] = {}

        def choose(waiting: Waiting) -> Sequence[Placement]:
            demands = tuple(parked.demand for parked in self._parked.values())
            snapshot = Snapshot(waiting.ready, demands, waiting.regions, waiting.shares)
            placements.extend(decide(snapshot, self._ambient.now()))
            for placement in placements:
                if placement.demand_id not in in_hand:
                    in_hand[placement.demand_id] = self._parked.pop(placement.demand_id)
            return placements

        leases: Mapping[uuid.UUID, L] = {}
        try:
            leases = await self._backlog.place(sorted(wanted), regions, room=room, choose=choose)
        finally:
            # Also when the backlog failed: then every offer is parked again.
            orphaned: list[L] = []
            for parked in in_hand.values():
                granted = _granted(parked.demand, placements, leases)
                orphaned += self._hand_out(parked, granted)
            if orphaned:
                await self._backlog.hand_back(orphaned)
        if leases:
            ROUND_SECONDS.observe(time.monotonic() - begin)
            _record(placements, leases)
        return len(leases) < len(placements)

    def _hand_out(self, parked: _Parked[L], granted: tuple[L, ...]) -> tuple[L, ...]:
        """Answer an offer or park it again; gives the leases that nobody waits for any more."""
        if parked.abandoned:
            return granted
        if granted or self._is_draining:
            parked.settle(granted)
        else:
            self._parked[parked.demand.demand_id] = parked
        return ()

    def _answer_impatient(self) -> None:
        for demand_id, parked in list(self._parked.items()):
            if not parked.patient:
                del self._parked[demand_id]
                parked.settle(())


def _granted(
    demand: RegionDemand, placements: Sequence[Placement], leases: Mapping[uuid.UUID, L]
) -> tuple[L, ...]:
    return tuple(
        leases[placement.job_id]
        for placement in placements
        if placement.demand_id == demand.demand_id and placement.job_id in leases
    )


def _record(placements: Sequence[Placement], leases: Mapping[uuid.UUID, L]) -> None:
    for placement in placements:
        if placement.job_id in leases:
            PLACEMENTS.labels(placement.region).inc()
            logger.info("placed", extra={"job": placement.job_id, "why": placement.reason})
