"""Room in the regions, and which of it is best for a job."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from inference.scheduler.settings import PolicySettings
from inference.scheduler.snapshot import ReadyJob, RegionDemand, RegionLoad, Snapshot

OPEN_AND_IDLE = RegionLoad()


@dataclass(frozen=True, slots=True)
class Fit:
    """One demand as seen by one job."""

    demand: RegionDemand
    is_warm: bool
    wait_seconds: float

    def __str__(self) -> str:
        """Say why the region suits."""
        warmth = "warm" if self.is_warm else "cold"
        price = f"price {self.demand.price:g}"
        return f"{self.demand.region} is {warmth}, wait {self.wait_seconds:.1f} s, {price}"


class Room:
    """What is free while placements are made; regions that are closed have none."""

    def __init__(self, snapshot: Snapshot, settings: PolicySettings) -> None:
        self._settings = settings
        self._regions = snapshot.regions
        self._left = {demand.demand_id: demand.capacity for demand in snapshot.demands}
        self._given_seconds: defaultdict[str, float] = defaultdict(float)
        self._open = [d for d in snapshot.demands if self._load(d.region).is_open]
        self.closed = sorted({d.region for d in snapshot.demands} - {d.region for d in self._open})
        self._able: dict[tuple[str, frozenset[str]], list[RegionDemand]] = {}

    def able(self, job: ReadyJob) -> list[RegionDemand]:
        """Give the demands with room where the job may and can run."""
        kind = (job.model, job.regions)
        found = self._able.get(kind)
        if found is None:
            found = [
                demand
                for demand in self._open
                if self._left[demand.demand_id] > 0
                and job.model in demand.models
                and (not job.regions or demand.region in job.regions)
            ]
            self._able[kind] = found
        return found

    def is_warm_for(self, job: ReadyJob) -> bool:
        """Tell whether the job could go where its model is loaded."""
        return any(job.model in demand.warm_models for demand in self.able(job))

    def best(self, job: ReadyJob) -> Fit:
        """Give the demand where the job starts soonest, a dear region counting as a later start."""
        fits = [self._fit(job, demand) for demand in self.able(job)]
        return min(fits, key=lambda fit: self._rank(job, fit))

    def take(self, job: ReadyJob, demand: RegionDemand) -> None:
        """Use up one place."""
        self._left[demand.demand_id] -= 1
        self._given_seconds[demand.region] += job.cost_seconds
        if self._left[demand.demand_id] == 0:
            self._able.clear()

    def _load(self, region: str) -> RegionLoad:
        return self._regions.get(region, OPEN_AND_IDLE)

    def _fit(self, job: ReadyJob, demand: RegionDemand) -> Fit:
        load = self._load(demand.region)
        ahead = load.backlog_seconds + self._given_seconds[demand.region]
        servers = max(load.running + self._left[demand.demand_id], 1)
        return Fit(demand, job.model in demand.warm_models, ahead / servers)

    def _rank(self, job: ReadyJob, fit: Fit) -> tuple[float, int, int]:
        load_seconds = 0.0 if fit.is_warm else self._settings.load_seconds
        worth = self._settings.price_patience * fit.demand.price * job.cost_seconds
        demand_id = fit.demand.demand_id
        return (fit.wait_seconds + load_seconds + worth, -self._left[demand_id], demand_id)
