"""The requests that a simulation is driven by, and a seeded generator of them.

The generator follows the statistics of a production image service: few models take most of the
requests, arrivals come in bursts, most tenants send little, and once a single tenant floods.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

TENANTS: Final = 400
MODELS: Final = 30
IMAGES: Final = ((1, 0.58), (2, 0.08), (4, 0.19), (8, 0.15))
STEPS: Final = ((30, 0.91), (20, 0.05), (50, 0.04))
BANDS: Final = ((0, 0.3), (1, 0.5), (2, 0.2))
WEIGHTS: Final = ((1.0, 0.8), (4.0, 0.2))
SHORT_GAP_SECONDS: Final = 1.5
LONG_GAP_SECONDS: Final = 40.0
LONG_GAP_CHANCE: Final = 0.12
INTERACTIVE_DEADLINE_SECONDS: Final = 300.0
RESIDENT_CHANCE: Final = 0.1
BASE_SECONDS: Final = 4.0
SECONDS_PER_PICTURE: Final = 9.0
SPREAD: Final = 0.25
FLOOD_SHARE: Final = 0.08
FLOOD_SECONDS: Final = 60.0
STEPS_USUAL: Final = 30


@dataclass(frozen=True, slots=True)
class Request:
    """One job of the workload; times in seconds from the begin of the simulation.

    `cost_seconds` is what the scheduler predicts and `run_seconds` what it takes. `number` is the
    position in the workload. `regions` are those that it may run in; none means all.
    """

    number: int
    at: float
    tenant_id: str
    model: str
    band: int
    weight: float
    cost_seconds: float
    run_seconds: float
    deadline: float | None = None
    regions: frozenset[str] = frozenset()


def generate(count: int, seed: int, regions: Sequence[str] = ()) -> list[Request]:
    """Give a workload; the same count, seed and regions give the same one.

    With regions, some requests must stay in the last of them.
    """
    source = random.Random(seed)  # noqa: S311 - must be reproducible, and hides nothing
    tenants = _popularity("t", TENANTS, 0.9)
    models = _popularity("m", MODELS, 1.3)
    flood_from = count * 2 // 5
    flood = range(flood_from, flood_from + int(count * FLOOD_SHARE))
    requests = []
    for number, at in enumerate(itertools.islice(_arrivals(source, flood), count)):
        tenant = "flood" if number in flood else _pick(source, tenants)
        traits = random.Random(f"{seed}/{tenant}")  # noqa: S311 - likewise
        band = 1 if tenant == "flood" else _pick(traits, BANDS)
        resident = bool(regions) and traits.random() < RESIDENT_CHANCE
        cost = _cost(source)
        deadline = at + INTERACTIVE_DEADLINE_SECONDS if band == 0 else None
        requests.append(
            Request(
                number=number,
                at=at,
                tenant_id=tenant,
                model=_pick(source, models),
                band=band,
                weight=_pick(traits, WEIGHTS),
                cost_seconds=round(cost, 3),
                run_seconds=round(cost * source.lognormvariate(0, SPREAD), 3),
                deadline=deadline,
                regions=frozenset(regions[-1:]) if resident else frozenset(),
            )
        )
    return requests


def _arrivals(source: random.Random, flood: range) -> Iterator[float]:
    at = 0.0
    for number in itertools.count():
        if number in flood:
            at += source.expovariate(len(flood) / FLOOD_SECONDS)
        else:
            is_long = source.random() < LONG_GAP_CHANCE
            at += source.expovariate(1 / (LONG_GAP_SECONDS if is_long else SHORT_GAP_SECONDS))
        yield round(at, 3)


def _cost(source: random.Random) -> float:
    pictures, steps = _pick(source, IMAGES), _pick(source, STEPS)
    return BASE_SECONDS + pictures * SECONDS_PER_PICTURE * steps / STEPS_USUAL


def _popularity(prefix: str, count: int, exponent: float) -> tuple[tuple[str, float], ...]:
    return tuple((f"{prefix}{n}", 1 / n**exponent) for n in range(1, count + 1))


def _pick(source: random.Random, shares: Sequence[tuple[T, float]]) -> T:
    chances = [chance for _, chance in shares]
    [(value, _)] = source.choices(shares, chances)
    return value
