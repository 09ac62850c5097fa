"""Settings of the audit service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from meshkit.config import Environment
from meshkit.invariants import check_interval


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How often every log is verified."""

    check_every: timedelta

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_AUDIT_CHECK_SECONDS: a minute to a week, an hour if unsaid."""
        return cls(check_interval(environment, "REELMESH_AUDIT_CHECK_SECONDS"))
