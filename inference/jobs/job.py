"""A job as it is read: its immutable request, and how it stands."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inference.connectors.protocol import Output, Submission
from inference.jobs.state import TERMINAL, State


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job ended without outputs; `reason` is stable, `message` is for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work and how it stands, read at one moment; times are the database's."""

    id: uuid.UUID
    tenant_id: str
    idempotency_key: str
    model: str
    task: str
    inputs: Mapping[str, Any]
    count: int
    attempts_max: int
    created_at: datetime
    state: State
    attempt: int
    region: str
    step: int
    steps: int
    outputs: tuple[Output, ...]
    failure: JobFailure | None
    queue_ms: int
    run_ms: int
    upload_ms: int
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool

    @property
    def is_over(self) -> bool:
        """Whether the job has its one terminal state."""
        return self.state in TERMINAL


def fingerprint(submission: Submission) -> bytes:
    """Give the SHA-256 of what a key stands for; numbers that are equal count as the same."""
    deadline = submission.start_deadline
    facts: dict[str, Any] = {
        "model": submission.model,
        "task": submission.task,
        "inputs": _plain(submission.inputs),
        "count": submission.count,
        "band": submission.band,
        "weight": float(submission.weight),
        "start_deadline": None if deadline is None else deadline.isoformat(),
        "attempts_max": submission.attempts_max,
    }
    if submission.regions:  # Left out otherwise, as it was before jobs could name regions.
        facts["regions"] = sorted(set(submission.regions))
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)  # On the wire every number is a double.
    return value
