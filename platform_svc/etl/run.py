"""Runs of the loader: values without I/O."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from platform_svc.etl.reconciliation import NOT_IN_LEDGER, NOT_IN_MART, TOTALS_DIFFER

LOST_EVENTS: Final = "no event left the stream before it was loaded"
REPEATED: Final = "each event is in silver once"
CHECKS: Final = (NOT_IN_MART, NOT_IN_LEDGER, TOTALS_DIFFER, LOST_EVENTS, REPEATED)
OFFENDERS_MAX: Final = 100
LOST: Final = "lost_events"
REPORT: Final = "report"


class State(enum.StrEnum):
    """A run waits, runs, and ends in one of the others."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Failure(enum.StrEnum):
    """Why a run failed."""

    CHECK_FAILED = "CHECK_FAILED"  # All was loaded and made; what it says is not right.
    BUSY = "BUSY"  # Another process loads.
    KILLED = "KILLED"
    LOST = "LOST"  # Nobody knows what became of its process.
    TIMED_OUT = "TIMED_OUT"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: counts, and the offenders of each check that failed."""

    counts: Mapping[str, int] = field(default_factory=dict)
    offenders: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def failure(self) -> Failure | None:
        """Say whether a check failed."""
        return Failure.CHECK_FAILED if self.offenders else None


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over the events."""

    id: uuid.UUID
    state: State
    asked_by: str
    asked_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    failure: str = ""
    outcome: Outcome = Outcome()


@dataclass(frozen=True, slots=True)
class Publication:
    """What a run made for readers: a mart's rows, or the report under "html"."""

    name: str
    run_id: uuid.UUID
    made_at: datetime
    content: Mapping[str, Any]
