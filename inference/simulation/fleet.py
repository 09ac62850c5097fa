"""The simulated devices: which models each has loaded, what it does, and when it is away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from inference.simulation.traces import Availability
from inference.simulation.workload import Request

DEFAULT_PRICES: Final = {"us-east": 1.0, "eu-west": 1.3}
LOAD_SECONDS: Final = 22.7  # The median load of a base model in production.


@dataclass(slots=True)
class Device:
    """One accelerator; `resident` are the loaded models, the one used last at the end."""

    number: int
    region: str
    price: float
    slots: int
    resident: list[str] = field(default_factory=list)
    is_present: bool = True
    job: Request | None = None
    job_began_at: float = 0.0
    # Tells the end of a job from the end of an earlier one that was broken off.
    turn: int = 0

    @property
    def is_free(self) -> bool:
        """Whether it could take a job now."""
        return self.is_present and self.job is None

    def load(self, model: str) -> bool:
        """Use a model, loading it in place of the one used longest ago; True if it was loaded."""
        was_resident = model in self.resident
        if was_resident:
            self.resident.remove(model)
        elif len(self.resident) >= self.slots:
            del self.resident[0]
        self.resident.append(model)
        return not was_resident


@dataclass(frozen=True, slots=True)
class Change:
    """A device comes or goes."""

    at: float
    device: int
    is_present: bool


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """How many devices there are, where, at what price, and when they are away."""

    regions: tuple[tuple[str, int, float], ...]  # Name, devices, price.
    resident_models: int = 2
    changes: tuple[Change, ...] = ()

    def devices(self) -> list[Device]:
        """Give fresh devices."""
        places = [(region, price) for region, count, price in self.regions for _ in range(count)]
        return [
            Device(number, region, price, self.resident_models)
            for number, (region, price) in enumerate(places)
        ]


def steady_fleet(devices: int, resident_models: int) -> FleetPlan:
    """Give a fleet in two regions that is always there."""
    names = list(DEFAULT_PRICES)
    near = (devices + 1) // 2
    counts = (near, devices - near)
    return FleetPlan(
        tuple(
            (name, count, DEFAULT_PRICES[name])
            for name, count in zip(names, counts, strict=True)
            if count
        ),
        resident_models,
    )


def spot_fleet(
    zones: Sequence[Availability], devices_per_zone: int, resident_models: int
) -> FleetPlan:
    """Give a fleet whose devices come and go with their zones; a region is zones of one name."""
    places = [zone for zone in sorted(zones, key=_region_and_zone) for _ in range(devices_per_zone)]
    counts: dict[str, int] = {}
    for zone in places:
        counts[_region(zone)] = counts.get(_region(zone), 0) + 1
    changes = [change for number, zone in enumerate(places) for change in _changes(number, zone)]
    return FleetPlan(
        tuple((name, count, 1.0) for name, count in counts.items()),
        resident_models,
        tuple(sorted(changes, key=lambda change: (change.at, change.device))),
    )


def _region_and_zone(zone: Availability) -> tuple[str, str]:
    return (_region(zone), zone.zone)


def _region(zone: Availability) -> str:
    return zone.zone.rstrip("abcdefghijklmnopqrstuvwxyz") or zone.zone


def _changes(number: int, zone: Availability) -> Iterator[Change]:
    before = True  # Devices are there until told otherwise, and again after the trace ends.
    for tick, present in enumerate((*zone.present, True)):
        if present != before:
            yield Change(tick * zone.tick_seconds, number, present)
        before = present
