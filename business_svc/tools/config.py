"""Settings of the tools service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from meshkit.config import Environment
from meshkit.invariants import CHECK_SECONDS_DEFAULT, check_interval

HOUR = 3600
START_SECONDS_DEFAULT = HOUR
HOLD_SECONDS_DEFAULT = 6 * HOUR
# What a run may take from its start to its settlement, re-runs included.
RUN_SECONDS_MIN = HOUR


@dataclass(frozen=True, slots=True)
class ToolsSettings:
    """How long runs wait, how long credits are held, how often the invariants are checked.

    A hold outlives every job that it pays for: it lasts at least an hour longer than a job may
    wait for its start.
    """

    start_within: timedelta
    hold_for: timedelta
    check_interval: timedelta = timedelta(seconds=CHECK_SECONDS_DEFAULT)

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_RUN_{START,HOLD}_SECONDS and REELMESH_TOOLS_CHECK_SECONDS."""
        start_within = environment.seconds(
            "REELMESH_RUN_START_SECONDS",
            minimum=10,
            maximum=24 * HOUR,
            default=START_SECONDS_DEFAULT,
        )
        hold_for = environment.seconds(
            "REELMESH_RUN_HOLD_SECONDS",
            minimum=HOUR,
            maximum=7 * 24 * HOUR,
            default=HOLD_SECONDS_DEFAULT,
        )
        if hold_for < start_within + timedelta(seconds=RUN_SECONDS_MIN):
            environment.refuse(
                "REELMESH_RUN_HOLD_SECONDS",
                f"must be {RUN_SECONDS_MIN} or more above REELMESH_RUN_START_SECONDS",
            )
        interval = check_interval(environment, "REELMESH_TOOLS_CHECK_SECONDS")
        return cls(start_within=start_within, hold_for=hold_for, check_interval=interval)
