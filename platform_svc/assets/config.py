"""Settings of the assets service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from meshkit.config import Environment

UPLOAD_SECONDS_DEFAULT = 900
SWEEP_SECONDS_DEFAULT = 60
CHECK_SECONDS_DEFAULT = 6 * 3600


@dataclass(frozen=True, slots=True)
class AssetsSettings:
    """How long an upload may take, how often leftovers are swept and invariants checked."""

    upload_lifetime: timedelta
    sweep_interval: timedelta
    check_interval: timedelta

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_ASSETS_{UPLOAD,SWEEP,CHECK}_SECONDS."""
        return cls(
            upload_lifetime=environment.seconds(
                "REELMESH_ASSETS_UPLOAD_SECONDS",
                minimum=60,
                maximum=3600,
                default=UPLOAD_SECONDS_DEFAULT,
            ),
            sweep_interval=environment.seconds(
                "REELMESH_ASSETS_SWEEP_SECONDS",
                minimum=1,
                maximum=3600,
                default=SWEEP_SECONDS_DEFAULT,
            ),
            check_interval=environment.seconds(
                "REELMESH_ASSETS_CHECK_SECONDS",
                minimum=60,
                maximum=7 * 24 * 3600,
                default=CHECK_SECONDS_DEFAULT,
            ),
        )
