"""Checks on a schedule what must always hold, and shows what does not."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Gauge

from meshkit.config import Environment
from meshkit.tasks import periodic

CHECK_SECONDS_DEFAULT = 3600
CHECK_SECONDS_MIN = 60
CHECK_SECONDS_MAX = 7 * 24 * 3600

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InvariantCheck:
    """Shows the number of offenders of each invariant as a metric, and who they are in the log.

    `look` gives the offenders of the invariants that do not hold; `names` are all of them, so
    that one that holds again goes back to zero. `gauge` has the label "invariant".
    """

    task: str
    gauge: Gauge
    names: Sequence[str]
    look: Callable[[], Awaitable[Mapping[str, Sequence[str]]]]
    interval: timedelta

    async def run(self) -> None:
        """Check at each interval."""
        await periodic(self.task, self.interval.total_seconds(), self.check)

    async def check(self) -> Mapping[str, Sequence[str]]:
        """Check once and give the offenders by invariant."""
        found = await self.look()
        for name in self.names:
            self.gauge.labels(invariant=name).set(len(found.get(name, ())))
        for name, offenders in found.items():
            assert name in self.names, name
            _log.error("an invariant is broken", extra={"invariant": name, "offenders": offenders})
        return found


def check_interval(environment: Environment, variable: str) -> timedelta:
    """Read how often a service checks its invariants: a minute to a week, an hour if unsaid."""
    return environment.seconds(
        variable,
        minimum=CHECK_SECONDS_MIN,
        maximum=CHECK_SECONDS_MAX,
        default=CHECK_SECONDS_DEFAULT,
    )
