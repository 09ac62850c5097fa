"""Settings of the events service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from meshkit.config import Environment
from meshkit.invariants import check_interval


@dataclass(frozen=True, slots=True)
class EventsSettings:
    """How often the invariants are checked."""

    check_interval: timedelta

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_EVENTS_CHECK_SECONDS."""
        return cls(check_interval(environment, "REELMESH_EVENTS_CHECK_SECONDS"))
