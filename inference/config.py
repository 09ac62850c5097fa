"""Settings of the inference part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from meshkit.config import Environment


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """How long a lease lives without a sign of life: 2 to 300 seconds."""

    lease_ttl: timedelta

    @classmethod
    def from_environment(cls, environment: Environment) -> InferenceSettings:
        """Read the settings; problems are reported by the environment."""
        return cls(
            lease_ttl=environment.seconds(
                "REELMESH_LEASE_SECONDS",
                minimum=2,
                maximum=300,
                default=15,
            )
        )
