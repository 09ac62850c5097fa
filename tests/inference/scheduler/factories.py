"""Plain values for the scheduler's tests, and a queue that lives through many decisions."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from inference.scheduler.policy import decide
from inference.scheduler.settings import SETTINGS, PolicySettings
from inference.scheduler.shares import after
from inference.scheduler.snapshot import Placement, ReadyJob, RegionDemand, Shares, Snapshot

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def order(due: datetime) -> int:
    return round(due.timestamp() * 1_000_000)


FAR = order(NOW + timedelta(days=1))


def job(number: int, **changes: object) -> ReadyJob:
    fields = {"model": "shapes", "tenant_id": "t", "band": 1, "order": FAR + number}
    return ReadyJob(job_id=uuid.UUID(int=number), **(fields | changes))


def demand(demand_id: int = 1, **changes: object) -> RegionDemand:
    fields = {"region": f"r{demand_id}", "agent_id": "a", "capacity": 1, "models": {"shapes"}}
    return RegionDemand(demand_id=demand_id, **(fields | changes))


@dataclass
class Server:
    """Asks the policy again and again, each time with room for a job, and keeps the shares."""

    jobs: list[ReadyJob]
    demand: RegionDemand = field(default_factory=lambda: demand(warm_models={"shapes"}))
    settings: PolicySettings = SETTINGS
    now: datetime = NOW
    shares: Shares = field(default_factory=Shares)
    served: list[ReadyJob] = field(default_factory=list)

    def step(self) -> Placement | None:
        snapshot = Snapshot(tuple(self.jobs), (self.demand,), shares=self.shares)
        placements = decide(snapshot, self.now, self.settings)
        if not placements:
            return None
        [placement] = placements
        self.shares = after(self.shares, [placement.charge])
        [one] = [one for one in self.jobs if one.job_id == placement.job_id]
        self.jobs.remove(one)
        self.served.append(one)
        return placement

    def until(self, condition: Callable[[Sequence[ReadyJob]], bool], limit: int = 10_000) -> None:
        for _ in range(limit):
            if condition(self.served):
                return
            assert self.step() is not None
        raise AssertionError("it never happened")

    def service(self, tenant_id: str) -> float:
        """Give what a tenant has had, over its weight."""
        return sum(
            one.cost_seconds / one.weight for one in self.served if one.tenant_id == tenant_id
        )


def numbered(jobs: Sequence[ReadyJob]) -> list[ReadyJob]:
    """Give the jobs with ids and orders by their position."""
    return [
        replace(one, job_id=uuid.UUID(int=n), order=one.order + n)
        for n, one in enumerate(jobs, start=1)
    ]
