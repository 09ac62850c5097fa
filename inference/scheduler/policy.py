"""Decides which job goes to which region: a pure function from a snapshot to placements."""

from __future__ import annotations

from datetime import datetime

from inference.scheduler.snapshot import Placement, ReadyJob, RegionDemand, Snapshot


def decide(snapshot: Snapshot, now: datetime) -> list[Placement]:
    """Place as many jobs as there is room for, by band and then by order.

    A job goes only to a region that can run its model; among those, one that has it loaded comes
    first, then the one with the most room, then the one that has waited longest. A job whose
    start deadline has passed is left to expire. Greedy by order is work conserving: room only
    shrinks, so a job that found none would find none later either.
    """
    room = {demand.demand_id: demand.capacity for demand in snapshot.demands}
    placements: list[Placement] = []
    for job in sorted(snapshot.ready, key=_rank):
        if job.start_deadline is not None and job.start_deadline <= now:
            continue
        demand = _best(job, snapshot.demands, room)
        if demand is not None:
            room[demand.demand_id] -= 1
            placements.append(_placement(job, demand))
    return placements


def _rank(job: ReadyJob) -> tuple[int, int, int]:
    return (job.band, job.order, job.job_id.int)


def _best(
    job: ReadyJob, demands: tuple[RegionDemand, ...], room: dict[int, int]
) -> RegionDemand | None:
    able = [d for d in demands if job.model in d.models and room[d.demand_id] > 0]
    if not able:
        return None
    return min(
        able, key=lambda d: (job.model not in d.warm_models, -room[d.demand_id], d.demand_id)
    )


def _placement(job: ReadyJob, demand: RegionDemand) -> Placement:
    warmth = "warm" if job.model in demand.warm_models else "cold"
    reason = f"first in band {job.band} for {job.model}; {demand.region} is {warmth}"
    return Placement(
        job_id=job.job_id,
        demand_id=demand.demand_id,
        region=demand.region,
        agent_id=demand.agent_id,
        reason=reason,
    )
