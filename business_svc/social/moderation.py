"""Reports and cases: what may be decided about a subject, without I/O.

open --dismiss--> dismissed --report--> open
  |                                      ^
  +--take_down--> taken_down --restore--> restored --report--+

An operator may also take down what was dismissed or restored.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from business_svc.social.errors import DecisionNotPossible


class SubjectKind(enum.StrEnum):
    """What can be reported."""

    POST = "post"
    COMMENT = "comment"
    PROFILE = "profile"


class Decision(enum.StrEnum):
    """What an operator may decide."""

    DISMISS = "dismiss"
    TAKE_DOWN = "take_down"
    RESTORE = "restore"


class CaseState(enum.StrEnum):
    """How a case stands."""

    OPEN = "open"
    DISMISSED = "dismissed"
    TAKEN_DOWN = "taken_down"
    RESTORED = "restored"


OPENED: Final = "opened"
REOPENED: Final = "reopened"
RESULTS: Final[Mapping[Decision, CaseState]] = {
    Decision.DISMISS: CaseState.DISMISSED,
    Decision.TAKE_DOWN: CaseState.TAKEN_DOWN,
    Decision.RESTORE: CaseState.RESTORED,
}
ADMITTED: Final[Mapping[Decision, frozenset[CaseState]]] = {
    Decision.DISMISS: frozenset({CaseState.OPEN}),
    Decision.TAKE_DOWN: frozenset({CaseState.OPEN, CaseState.DISMISSED, CaseState.RESTORED}),
    Decision.RESTORE: frozenset({CaseState.TAKEN_DOWN}),
}
# 3 is the gravest.
SEVERITIES: Final[Mapping[str, int]] = {
    "illegal": 3,
    "hate": 2,
    "violence": 2,
    "nudity": 2,
    "copyright": 2,
    "spam": 1,
    "other": 1,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about, and whose it is."""

    kind: SubjectKind
    id: uuid.UUID
    owner_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a user has to say against a subject."""

    reporter_id: uuid.UUID
    reason: str
    note: str


@dataclass(frozen=True, slots=True)
class Report:
    """A complaint that was kept, with how its case stands."""

    id: uuid.UUID
    subject_kind: SubjectKind
    subject_id: uuid.UUID
    reason: str
    note: str
    created_at: datetime
    case_state: CaseState


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One thing that happened in a case; `operator_id` is None where no operator acted."""

    kind: str
    operator_id: uuid.UUID | None
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """All that was said and decided about one subject."""

    id: uuid.UUID
    subject: Subject
    state: CaseState
    severity: int
    report_count: int
    opened_at: datetime
    reports: Sequence[Report] = ()
    events: Sequence[CaseEvent] = ()


def decide(state: CaseState, decision: Decision) -> CaseState | None:
    """Return how a case stands after a decision, or None if it stands so already.

    Raises:
        DecisionNotPossible: the case's state does not admit it.
    """
    result = RESULTS[decision]
    if state is result:
        return None
    if state not in ADMITTED[decision]:
        raise DecisionNotPossible(state)
    return result
