"""Settings of the audit service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from meshkit.config import Environment
from meshkit.invariants import check_interval

KEEP_SECONDS_DEFAULT: Final = 300
KEEP_SECONDS_MIN: Final = 1
KEEP_SECONDS_MAX: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How often every log is verified, and heads are kept in the object store."""

    check_every: timedelta
    keep_every: timedelta

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_AUDIT_CHECK_SECONDS and REELMESH_AUDIT_KEEP_SECONDS.

        The first is a minute to a week, an hour if unsaid; the second a second to a day, five
        minutes if unsaid.
        """
        return cls(
            check_interval(environment, "REELMESH_AUDIT_CHECK_SECONDS"),
            environment.seconds(
                "REELMESH_AUDIT_KEEP_SECONDS",
                minimum=KEEP_SECONDS_MIN,
                maximum=KEEP_SECONDS_MAX,
                default=KEEP_SECONDS_DEFAULT,
            ),
        )
