"""Settings of the inference part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from inference.scheduler.planner import SETTINGS as PLANNER_SETTINGS
from inference.scheduler.planner import PlannerSettings
from meshkit.config import Environment
from meshkit.invariants import check_interval
from meshkit.prices import region_prices


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """How long a lease lives without a sign of life, how often invariants are checked, and prices.

    The lease: 2 to 300 seconds. `prices` is what a second of a region's devices costs, relative to
    the others; a region that is not named costs 1. `planner` says how large fleets should be.
    """

    lease_ttl: timedelta
    check_interval: timedelta
    prices: Mapping[str, float]
    planner: PlannerSettings

    @classmethod
    def from_environment(cls, environment: Environment) -> InferenceSettings:
        """Read the settings; problems are reported by the environment."""
        return cls(
            lease_ttl=environment.seconds(
                "REELMESH_LEASE_SECONDS",
                minimum=2,
                maximum=300,
                default=15,
            ),
            check_interval=check_interval(environment, "REELMESH_JOBS_CHECK_SECONDS"),
            prices=region_prices(environment),
            planner=_planner(environment),
        )


def _planner(environment: Environment) -> PlannerSettings:
    usual = PLANNER_SETTINGS
    return PlannerSettings(
        drain_seconds=environment.number(
            "REELMESH_REPLICAS_DRAIN_SECONDS",
            minimum=0.1,
            maximum=3600,
            default=usual.drain_seconds,
        ),
        keep_seconds=environment.number(
            "REELMESH_REPLICAS_KEEP_SECONDS", minimum=0, maximum=86400, default=usual.keep_seconds
        ),
    )
