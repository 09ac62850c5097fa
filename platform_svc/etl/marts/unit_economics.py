"""What runs bring in and cost, by day, tool and region."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Final

from platform_svc.etl.config import MartSettings
from platform_svc.etl.marts.fold import (
    JOB_FINISHED,
    RUN_FINISHED,
    Row,
    keep_first,
    properties_of,
)
from platform_svc.etl.records import Event

MILLISECONDS_PER_HOUR: Final = 3_600_000
NO_REGION: Final = "none"  # Of runs that no region has begun, or whose job is not known yet.


@dataclass(slots=True)
class _Sums:
    runs: int = 0
    succeeded: int = 0
    credits_charged: int = 0
    device_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Work:
    """What a job's region did."""

    region: str = NO_REGION
    device_ms: int = 0


@dataclass
class UnitEconomics:
    """Runs by the UTC day of their end, tool and region.

    Rows: day, tool, region, runs, succeeded, credits_charged, revenue_micros, device_ms (of the
    last attempts: run and upload), cost_micros, margin_micros, and per run revenue and cost.
    """

    settings: MartSettings
    name: ClassVar[str] = "unit_economics"
    events: ClassVar[frozenset[str]] = frozenset({RUN_FINISHED, JOB_FINISHED})
    _runs: dict[str, Event] = field(default_factory=dict)
    _jobs: dict[str, Event] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take one event into account."""
        properties = properties_of(event)
        if event.name == RUN_FINISHED:
            keep_first(self._runs, properties["run_id"], event)
        else:
            # A run's job carries the run's id as its key.
            keep_first(self._jobs, properties["idempotency_key"], event)

    def charges(self) -> Mapping[str, int]:
        """Give what each run was charged, in credits, leaving out those that were free."""
        charged = {
            run_id: int(properties_of(event)["credits_charged"])
            for run_id, event in self._runs.items()
        }
        return {run_id: credits_ for run_id, credits_ in charged.items() if credits_}

    def rows(self) -> Sequence[Row]:
        """Give the table, the newest days first."""
        sums: dict[tuple[date, str, str], _Sums] = defaultdict(_Sums)
        for run_id, event in self._runs.items():
            properties = properties_of(event)
            work = self._work(run_id)
            one = sums[event.occurred_at.date(), properties["tool"], work.region]
            one.runs += 1
            one.succeeded += properties["state"] == "succeeded"
            one.credits_charged += properties["credits_charged"]
            one.device_ms += work.device_ms
        ordered = sorted(sums.items(), key=lambda item: (-item[0][0].toordinal(), item[0][1:]))
        return [self._row(*key, one) for key, one in ordered]

    def _work(self, run_id: str) -> _Work:
        event = self._jobs.get(run_id)
        if event is None:
            return _Work()
        properties = properties_of(event)
        timings = properties.get("timings", {})
        device_ms = timings.get("run_ms", 0) + timings.get("upload_ms", 0)
        return _Work(properties["region"] or NO_REGION, device_ms)

    def _row(self, day: date, tool: str, region: str, sums: _Sums) -> Row:
        price = self.settings.device_hour_micros * self.settings.region_prices.get(region, 1.0)
        revenue = sums.credits_charged * self.settings.credit_micros
        cost = round(sums.device_ms * price / MILLISECONDS_PER_HOUR)
        return {
            "day": day,
            "tool": tool,
            "region": region,
            "runs": sums.runs,
            "succeeded": sums.succeeded,
            "credits_charged": sums.credits_charged,
            "device_ms": sums.device_ms,
            "revenue_micros": revenue,
            "cost_micros": cost,
            "margin_micros": revenue - cost,
            "revenue_micros_per_run": revenue // sums.runs,
            "cost_micros_per_run": cost // sums.runs,
        }
