"""The policies that are compared: the live one, and what simpler schedulers do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from inference.scheduler.policy import decide
from inference.scheduler.snapshot import Placement, ReadyJob, RegionDemand, Snapshot

Contender = Callable[[Snapshot, datetime], list[Placement]]
Key = Callable[[ReadyJob], Any]

LIVE: Final = "live"


def contenders() -> dict[str, Contender]:
    """Give fresh contenders by name; some remember what they did."""
    return {
        LIVE: decide,
        "fifo": _in_order(lambda job: job.job_id.int, _longest_free),
        "strict_priority": _in_order(lambda job: (job.band, job.job_id.int), _longest_free),
        "round_robin": _RoundRobin(),
        "least_loaded": _in_order(lambda job: job.job_id.int, _most_room),
    }


def _longest_free(able: list[RegionDemand], room: Counter[str]) -> RegionDemand:
    del room
    return min(able, key=lambda demand: demand.demand_id)


def _most_room(able: list[RegionDemand], room: Counter[str]) -> RegionDemand:
    return min(able, key=lambda demand: (-room[demand.region], demand.demand_id))


Choice = Callable[[list[RegionDemand], Counter[str]], RegionDemand]


def _in_order(key: Key, choice: Choice) -> Contender:
    def place(snapshot: Snapshot, now: datetime) -> list[Placement]:
        free = list(snapshot.demands)
        placements = []
        for job in sorted(snapshot.ready, key=key):
            placement = _place(job, free, now, choice)
            if placement is not None:
                placements.append(placement)
        return placements

    return place


class _RoundRobin:
    """Serves tenants in turn, whatever their jobs cost."""

    def __init__(self) -> None:
        self._turn: Counter[str] = Counter()
        self._turns = 0

    def __call__(self, snapshot: Snapshot, now: datetime) -> list[Placement]:
        free = list(snapshot.demands)
        waiting = list(snapshot.ready)
        placements = []
        while waiting and free:
            job = min(waiting, key=lambda one: (self._turn[one.tenant_id], one.job_id.int))
            waiting.remove(job)
            placement = _place(job, free, now, _longest_free)
            if placement is not None:
                self._turns += 1
                self._turn[job.tenant_id] = self._turns
                placements.append(placement)
        return placements


def _place(
    job: ReadyJob, free: list[RegionDemand], now: datetime, choice: Choice
) -> Placement | None:
    """Use up a free device; none of these policies starts a job late or outside its regions."""
    if job.start_deadline is not None and job.start_deadline <= now:
        return None
    able = [one for one in free if not job.regions or one.region in job.regions]
    if not able:
        return None
    demand = choice(able, Counter(one.region for one in free))
    free.remove(demand)
    return Placement(job.job_id, demand.demand_id, demand.region, demand.agent_id, "in order")
