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
# A new plan counts for new runs after this time at the latest.
RIGHTS_SECONDS_DEFAULT = 3
RIGHTS_SECONDS_MAX = 60
# What a run may take from its start to its settlement, re-runs included.
RUN_SECONDS_MIN = HOUR


@dataclass(frozen=True, slots=True)
class ToolsSettings:
    """How long runs wait, credits are held and rights remembered, and how often to check.

    A hold outlives every job that it pays for: it lasts at least an hour longer than a job may
    wait for its start.
    """

    start_within: timedelta
    hold_for: timedelta
    check_interval: timedelta = timedelta(seconds=CHECK_SECONDS_DEFAULT)
    rights_for: timedelta = timedelta(seconds=RIGHTS_SECONDS_DEFAULT)

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_RUN_{START,HOLD}_SECONDS and REELMESH_TOOLS_{CHECK,RIGHTS}_SECONDS."""
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
        rights_for = environment.seconds(
            "REELMESH_TOOLS_RIGHTS_SECONDS",
            minimum=0,
            maximum=RIGHTS_SECONDS_MAX,
            default=RIGHTS_SECONDS_DEFAULT,
        )
        return cls(start_within, hold_for, interval, rights_for)
