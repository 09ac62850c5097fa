"""What a simulation says about its policy, as plain numbers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from inference.simulation.engine import Ended, Outcome

DIGITS: Final = 3
CURVE_POINTS: Final = 100
BACKLOG_POINTS: Final = 200


def measure(outcome: Outcome) -> dict[str, Any]:
    """Give the figures of one policy; waits are of the jobs that started, in seconds."""
    started = [one for one in outcome.ended if one.started_at is not None]
    bands = sorted({one.request.band for one in outcome.ended})
    with_deadline = [one for one in outcome.ended if one.request.deadline is not None]
    end = max((one.finished_at for one in outcome.ended), default=0.0)
    figures: dict[str, Any] = {
        "jobs": len(outcome.ended),
        "succeeded": len(started),
        "wait_seconds": _quantiles(wait(one) for one in started),
        "wait_seconds_by_band": {
            str(band): _quantiles(wait(one) for one in started if one.request.band == band)
            for band in bands
        },
        "deadline_misses": sum(one.started_at is None for one in with_deadline),
        "deadlines": len(with_deadline),
        "fairness_jain": jain(_speed_by_tenant(started)),
        "utilisation": _ratio(outcome.run_seconds, outcome.present_seconds),
        "model_swaps": outcome.swaps,
        "swaps_per_job": _ratio(outcome.swaps, len(started)),
        "cost": outcome.cost,
        "lost_seconds": outcome.lost_seconds,
        "repeats": sum(one.attempts - 1 for one in started),
        "makespan_seconds": end,
    }
    rounded: dict[str, Any] = _rounded(figures)
    return rounded


def curves(outcome: Outcome) -> dict[str, list[list[float]]]:
    """Give what the plots show: the share of jobs by wait, and the backlog over time."""
    waits = sorted(wait(one) for one in outcome.ended if one.started_at is not None)
    shares = [n / CURVE_POINTS for n in range(CURVE_POINTS + 1)]
    last = len(waits) - 1
    steps = max(len(outcome.backlog) // BACKLOG_POINTS, 1)
    found: dict[str, list[list[float]]] = _rounded(
        {
            "wait": [[waits[round(share * last)], share] for share in shares] if waits else [],
            "backlog": [[at, float(depth)] for at, depth in outcome.backlog[::steps]],
        }
    )
    return found


def wait(one: Ended) -> float:
    """Give how long a job waited from its arrival to its last start."""
    assert one.started_at is not None
    return one.started_at - one.request.at


def jain(values: Sequence[float]) -> float:
    """Give Jain's index: 1 when all are equal, 1/n when one has everything."""
    squares = sum(value * value for value in values)
    return _ratio(sum(values) ** 2, len(values) * squares)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Give the least value that at least this share of the ordered values does not exceed."""
    if not ordered:
        return 0.0
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _quantiles(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"p{n}": quantile(ordered, n / 100) for n in (50, 95, 99)}


def _speed_by_tenant(started: Sequence[Ended]) -> list[float]:
    """Give how fast each tenant's jobs went, relative to devices that were theirs alone."""
    speeds: defaultdict[str, list[float]] = defaultdict(list)
    for one in started:
        alone = one.request.run_seconds
        speeds[one.request.tenant_id].append(alone / (alone + wait(one)))
    return [sum(values) / len(values) for _, values in sorted(speeds.items())]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value
