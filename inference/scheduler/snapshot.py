"""The values that the scheduler decides on: what waits, who offers to work, what goes where."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

EVERYWHERE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ReadyJob:
    """A job that waits.

    `order` is when the job is due, in microseconds since 1970: its start deadline, or the end of
    its band's patience if that is sooner. `cost_seconds` is the predicted time on a device.
    `regions` are those that it may run in; none means every region.
    """

    job_id: uuid.UUID
    model: str
    tenant_id: str
    band: int
    order: int
    start_deadline: datetime | None = None
    weight: float = 1.0
    cost_seconds: float = 1.0
    regions: frozenset[str] = EVERYWHERE


@dataclass(frozen=True, slots=True)
class RegionDemand:
    """A region's parked offer to take at most `capacity` jobs; `demand_id` grows by arrival.

    `price` is what a second of its devices costs, relative to the other regions.
    """

    demand_id: int
    region: str
    agent_id: str
    capacity: int
    models: frozenset[str]
    warm_models: frozenset[str] = frozenset()
    price: float = 1.0


@dataclass(frozen=True, slots=True)
class RegionLoad:
    """Whether a region takes work, and the work that it has already.

    `backlog_seconds` is the predicted time of leases whose work has not begun.
    """

    is_open: bool = True
    backlog_seconds: float = 0.0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Shares:
    """What each tenant has had of each band, in seconds of device time over its weight.

    `floors` is the virtual time of each band: how far even those who had least had come.
    `owed_seconds` is what the share that is kept for late jobs has saved up.
    """

    clocks: Mapping[tuple[int, str], float] = field(default_factory=dict)
    floors: Mapping[int, float] = field(default_factory=dict)
    owed_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the backlog shows at one moment; regions that are not named are open and idle."""

    ready: tuple[ReadyJob, ...]
    regions: Mapping[str, RegionLoad] = field(default_factory=dict)
    shares: Shares = field(default_factory=Shares)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the policy sees, all at one moment."""

    ready: tuple[ReadyJob, ...]
    demands: tuple[RegionDemand, ...]
    regions: Mapping[str, RegionLoad] = field(default_factory=dict)
    shares: Shares = field(default_factory=Shares)


@dataclass(frozen=True, slots=True)
class Charge:
    """Where a placement moves its tenant's clock, its band's floor and the share for late jobs."""

    band: int = 0
    tenant_id: str = ""
    clock: float = 0.0
    floor: float = 0.0
    owed_seconds_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """The decision to give a job to the region behind a demand, and why."""

    job_id: uuid.UUID
    demand_id: int
    region: str
    agent_id: str
    reason: str
    charge: Charge = Charge()
