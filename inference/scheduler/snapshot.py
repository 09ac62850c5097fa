"""The values that the scheduler decides on: what waits, who offers to work, what goes where."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ReadyJob:
    """A job that waits; jobs are served by band (lower first), then by order."""

    job_id: uuid.UUID
    model: str
    tenant_id: str
    band: int
    order: int
    start_deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class RegionDemand:
    """A region's parked offer to take at most `capacity` jobs; `demand_id` grows by arrival."""

    demand_id: int
    region: str
    agent_id: str
    capacity: int
    models: frozenset[str]
    warm_models: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the policy sees, all at one moment."""

    ready: tuple[ReadyJob, ...]
    demands: tuple[RegionDemand, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """The decision to give a job to the region behind a demand, and why."""

    job_id: uuid.UUID
    demand_id: int
    region: str
    agent_id: str
    reason: str
