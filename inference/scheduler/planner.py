"""Decides how many replicas of a model each region should run: a pure function of what is seen.

The fleet is made as large as it must be to work off what waits within `drain_seconds`, and grows
at once; it shrinks only after it has been too large for `keep_seconds`, since a replica takes long
to load. Replicas that run already count first, then cheap regions before dear ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """`drain_seconds` is the wait that is accepted, `keep_seconds` how long a surplus is kept.

    `run_seconds` is taken for a job's time on a replica until a region has measured it.
    """

    drain_seconds: float = 10.0
    keep_seconds: float = 60.0
    run_seconds: float = 1.0


SETTINGS: Final = PlannerSettings()


@dataclass(frozen=True, slots=True)
class Fleet:
    """A region's replicas of the model, as it reported them, and what was planned before.

    `busy` are the jobs that it has begun. `surplus_since` is when its target began to be more than
    what is wanted, None while it is not.
    """

    region: str
    running: int
    minimum: int
    maximum: int
    busy: int = 0
    run_seconds: float = 0.0
    price: float = 1.0
    is_open: bool = True
    target: int = 0
    surplus_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """How many replicas a region should run, and why."""

    region: str
    replicas: int
    surplus_since: datetime | None
    reason: str


def plan(
    waiting: int, fleets: Sequence[Fleet], now: datetime, settings: PlannerSettings = SETTINGS
) -> list[Target]:
    """Give a target for each fleet, for the jobs that wait for the model anywhere."""
    busy = sum(fleet.busy for fleet in fleets)
    seconds = _run_seconds(fleets, settings)
    wanted = _wanted(waiting, busy, seconds, settings)
    given = _spread(wanted, fleets)
    why = f"{waiting} wait, {busy} run, {seconds:.1f} s each: {wanted} wanted in all"
    return [_settle(fleet, given[fleet.region], why, now, settings) for fleet in fleets]


def _run_seconds(fleets: Sequence[Fleet], settings: PlannerSettings) -> float:
    known = [fleet.run_seconds for fleet in fleets if fleet.run_seconds > 0]
    return sum(known) / len(known) if known else settings.run_seconds


def _wanted(waiting: int, busy: int, seconds: float, settings: PlannerSettings) -> int:
    jobs = waiting + busy
    # Never more replicas than jobs, and one for the first job however short it is.
    return min(jobs, math.ceil(jobs * seconds / settings.drain_seconds))


def _spread(wanted: int, fleets: Sequence[Fleet]) -> dict[str, int]:
    given = {fleet.region: _floor(fleet) for fleet in fleets}
    left = wanted - sum(given[fleet.region] for fleet in fleets if fleet.is_open)
    usable = sorted((f for f in fleets if f.is_open), key=lambda f: (f.price, f.region))
    for ceiling in (_warm, _maximum):
        for fleet in usable:
            more = min(max(left, 0), max(ceiling(fleet) - given[fleet.region], 0))
            given[fleet.region] += more
            left -= more
    return given


def _floor(fleet: Fleet) -> int:
    """Give what runs whatever waits: the minimum, and in a closed region what is begun there."""
    return fleet.minimum if fleet.is_open else max(fleet.minimum, min(fleet.busy, fleet.maximum))


def _warm(fleet: Fleet) -> int:
    return min(fleet.running, fleet.maximum)


def _maximum(fleet: Fleet) -> int:
    return fleet.maximum


def _settle(
    fleet: Fleet, wanted: int, why: str, now: datetime, settings: PlannerSettings
) -> Target:
    state = "" if fleet.is_open else ", the region is closed"
    bounds = f"{fleet.minimum} to {fleet.maximum} allowed"
    reason = f"{why}, {wanted} here ({bounds}{state})"
    target = min(max(fleet.target, fleet.minimum), fleet.maximum)
    if wanted >= target:
        return Target(fleet.region, wanted, None, reason)
    since = fleet.surplus_since or now
    if now - since >= timedelta(seconds=settings.keep_seconds):
        return Target(fleet.region, wanted, None, reason)
    return Target(fleet.region, target, since, f"{reason}; kept for {settings.keep_seconds:g} s")
