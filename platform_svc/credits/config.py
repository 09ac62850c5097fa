"""Settings of the credits service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from meshkit.config import Environment

SIGN_UP_CREDITS_DEFAULT = 500
SIGN_UP_CREDITS_MAX = 1_000_000
SWEEP_SECONDS_DEFAULT = 5
SWEEP_SECONDS_MAX = 3600
CHECK_SECONDS_DEFAULT = 3600
CHECK_SECONDS_MAX = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class CreditsSettings:
    """The sign-up grant, and how often expiry is swept and the invariants are checked."""

    sign_up_credits: int
    sweep_interval: timedelta
    check_interval: timedelta

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_SIGN_UP_CREDITS and REELMESH_CREDITS_{SWEEP,CHECK}_SECONDS."""
        return cls(
            sign_up_credits=environment.integer(
                "REELMESH_SIGN_UP_CREDITS",
                minimum=0,
                maximum=SIGN_UP_CREDITS_MAX,
                default=SIGN_UP_CREDITS_DEFAULT,
            ),
            sweep_interval=environment.seconds(
                "REELMESH_CREDITS_SWEEP_SECONDS",
                minimum=1,
                maximum=SWEEP_SECONDS_MAX,
                default=SWEEP_SECONDS_DEFAULT,
            ),
            check_interval=environment.seconds(
                "REELMESH_CREDITS_CHECK_SECONDS",
                minimum=60,
                maximum=CHECK_SECONDS_MAX,
                default=CHECK_SECONDS_DEFAULT,
            ),
        )
