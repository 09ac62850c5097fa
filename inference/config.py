"""Settings of the inference part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from meshkit.config import Environment
from meshkit.invariants import check_interval


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """How long a lease lives without a sign of life, and how often the invariants are checked."""

    lease_ttl: timedelta
    check_interval: timedelta

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
        )
