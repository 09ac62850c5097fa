"""What a queue connector can do: five verbs over frozen values, whatever carries them.

A connector never owns a job. Ownership is a row in Postgres, guarded by the lease's fence, so a
message that a connector loses or repeats costs time and never correctness.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


class Fault(enum.StrEnum):
    """What went wrong with a lease, and so what becomes of its job."""

    INPUT = "input"
    ATTEMPT = "attempt"
    HANDED_BACK = "handed_back"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Submission:
    """A wish for work, unique by tenant and idempotency key."""

    tenant_id: str
    idempotency_key: str
    model: str
    task: str
    inputs: Mapping[str, Any]
    count: int = 1
    band: int = 1
    weight: float = 1.0
    start_deadline: datetime | None = None
    attempts_max: int = 5
    traceparent: str = ""
    regions: tuple[str, ...] = ()  # That the job may run in; none means all.


@dataclass(frozen=True, slots=True)
class Offer:
    """A region's readiness to run at most `capacity` more jobs of some models."""

    region: str
    agent_id: str
    capacity: int
    models: frozenset[str]
    warm_models: frozenset[str] = frozenset()
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LeaseKey:
    """Names one lease: the fence only grows per job, so an older one is stale."""

    job_id: uuid.UUID
    fence: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run a job until `expires_at`, by the database's clock."""

    key: LeaseKey
    expires_at: datetime
    model: str
    task: str
    inputs: Mapping[str, Any]
    count: int
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life for a lease; with `step` also progress, which begins with step 0."""

    key: LeaseKey
    step: int | None = None
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a region must do about the leases that it asked to extend; the rest goes on."""

    lost: frozenset[LeaseKey] = frozenset()
    canceled: frozenset[LeaseKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Output:
    """One object that a job made and that lies in the object store."""

    object_key: str
    content_type: str
    size_bytes: int
    sha256: str
    width: int
    height: int
    seed: int


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished attempt and what it made; `steps_made` are the steps that really ran."""

    key: LeaseKey
    outputs: tuple[Output, ...]
    run_ms: int
    upload_ms: int
    steps_made: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A lease given up; `message` is safe to show to the user.

    `steps_made` are the steps that really ran, also those after the last report.
    """

    key: LeaseKey
    fault: Fault
    reason: str
    message: str = ""
    steps_made: int = 0


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What a region runs of a model, and the bounds that its operator has set.

    `run_seconds` is how long a job keeps a replica busy of late; 0 while that is not known.
    """

    region: str
    model: str
    running: int
    minimum: int
    maximum: int
    run_seconds: float


@dataclass(frozen=True, slots=True)
class ReplicaTarget:
    """How many replicas of a model a region should run, and why."""

    replicas: int
    reason: str


class Producer(Protocol):
    """The side of a connector that brings work in."""

    async def enqueue(self, submission: Submission) -> uuid.UUID:
        """Queue a job once per tenant and key; the same submission gives the same id."""
        ...


class Consumer(Protocol):
    """The side of a connector that a region works with, on the region's own leases."""

    async def lease(self, offer: Offer) -> Sequence[Lease]:
        """Wait up to the offer's time for work; empty when there was none."""
        ...

    async def extend(self, beats: Sequence[Beat]) -> Verdict:
        """Keep leases alive and learn which are lost or to be canceled."""
        ...

    async def complete(self, completion: Completion) -> None:
        """Publish a job's outputs; the same completion again is harmless.

        Raises:
            LeaseLost: the lease is not held any more; publish nothing.
        """
        ...

    async def fail(self, failure: Failure) -> None:
        """Give a lease up; the fault decides what becomes of the job.

        Raises:
            LeaseLost: the lease is not held any more.
        """
        ...


class QueueConnector(Producer, Consumer, Protocol):
    """All five verbs, as the conformance suite takes them."""
