"""Webhook endpoints and deliveries: their states, what they take, when a failure is tried again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

ENDPOINTS_MAX: Final = 20
OVERLAP_DEFAULT: Final = timedelta(hours=24)
KEPT: Final = timedelta(days=30)
RECOVERED_MAX: Final = 1000
TEST_TYPE: Final = "webhook.test"
DISABLED_TYPE: Final = "webhook_endpoint.disabled"
# The schedule that the specification proposes: quick for a restart, then slower for three days.
PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
ATTEMPTS_MAX: Final = len(PAUSES) + 1
# So that the messages of an outage do not all come back at once.
JITTER_SHARE: Final = 0.1
RETRY_AFTER_MAX: Final = timedelta(hours=24)
FAILING_MAX: Final = timedelta(days=5)
GONE_STATUS: Final = 410


class DeliveryState(StrEnum):
    """Where a delivery stands; all but `pending` are final."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class Disabled(StrEnum):
    """Why an endpoint gets nothing."""

    BY_USER = "by_user"
    GONE = "gone"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of an organization's program; no `event_types` means all of them."""

    id: uuid.UUID
    org_id: uuid.UUID
    url: str
    description: str
    event_types: tuple[str, ...]
    created_by: uuid.UUID
    created_at: datetime
    disabled: Disabled | None = None
    failing_since: datetime | None = None
    former_secret_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told: the body is sent as it stands here, however often."""

    id: uuid.UUID
    org_id: uuid.UUID
    type: str
    payload: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one endpoint."""

    id: uuid.UUID
    endpoint_id: uuid.UUID
    message_id: uuid.UUID
    type: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    finished_at: datetime | None
    is_replay: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt went; `status` is 0 and `failure` says why if there was no answer."""

    status: int
    failure: str = ""
    response: str = ""
    retry_after: timedelta | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the message was taken."""
        return not self.failure


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery, as it is logged."""

    number: int
    started_at: datetime
    duration_ms: int
    answer: Answer


def takes(event_types: Sequence[str], type_: str) -> bool:
    """Whether an endpoint with these types wants a message of this one."""
    return not event_types or any(_fits(wanted, type_) for wanted in event_types)


def pause_after(attempts: int, answer: Answer, *, jitter: float) -> timedelta | None:
    """Return how long to wait after so many attempts; None if that was the last.

    `jitter` is a random number from 0 to 1. What the endpoint asks for by Retry-After makes the
    pause longer, up to a day, and never shorter.
    """
    assert attempts >= 1
    if attempts >= ATTEMPTS_MAX:
        return None
    pause = PAUSES[attempts - 1] * (1 + JITTER_SHARE * jitter)
    if answer.retry_after is None:
        return pause
    return max(pause, min(answer.retry_after, RETRY_AFTER_MAX))


def disabled_by(answer: Answer, failing_since: datetime, now: datetime) -> Disabled | None:
    """Say whether a failed attempt ends an endpoint, and why."""
    if answer.status == GONE_STATUS:
        return Disabled.GONE
    return Disabled.FAILING if now - failing_since >= FAILING_MAX else None


def _fits(wanted: str, type_: str) -> bool:
    if wanted.endswith(".*"):
        return type_.startswith(wanted.removesuffix("*"))
    return wanted == type_


def payload_of(type_: str, data_json: str, occurred_at: datetime) -> str:
    """Return the body of a message: its type, when it happened, and the data as they are."""
    head = {"type": type_, "timestamp": occurred_at.astimezone(UTC).isoformat()}
    return f'{json.dumps(head)[:-1]}, "data": {data_json or "{}"}}}'


def new_delivery(
    delivery_id: uuid.UUID,
    of: tuple[uuid.UUID, uuid.UUID, str],
    *,
    now: datetime,
    is_replay: bool = False,
) -> Delivery:
    """Return a delivery of (endpoint, message, type of the message) that is due at once."""
    endpoint_id, message_id, type_ = of
    return Delivery(
        id=delivery_id,
        endpoint_id=endpoint_id,
        message_id=message_id,
        type=type_,
        state=DeliveryState.PENDING,
        attempts=0,
        created_at=now,
        next_attempt_at=now,
        finished_at=None,
        is_replay=is_replay,
    )
