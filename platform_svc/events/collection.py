"""What becomes of the events of a batch: pure values and rules."""

from __future__ import annotations

import enum
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from platform_svc.events.catalogue import Catalogue

MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
PROPERTIES_BYTES_MAX: Final = 8 * 1024
KEPT_CHARACTERS_MAX: Final = 64
# A client that was offline may be late; one whose clock runs ahead is soon told.
LATE_MAX: Final = timedelta(days=7)
EARLY_MAX: Final = timedelta(minutes=5)


class Reason(enum.StrEnum):
    """Why an event was not taken."""

    MESSAGE_ID_INVALID = "MESSAGE_ID_INVALID"
    UNKNOWN_EVENT = "UNKNOWN_EVENT"
    SCHEMA_VIOLATION = "SCHEMA_VIOLATION"
    TOO_LARGE = "TOO_LARGE"
    TIME_OUT_OF_RANGE = "TIME_OUT_OF_RANGE"


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One event as a client tells it; `occurred_at` is by the client's clock."""

    message_id: str
    name: str
    schema_version: int
    occurred_at: datetime
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that came together; `sent_at` is by the client's clock."""

    organization_id: uuid.UUID
    user_id: uuid.UUID
    events: tuple[ClientEvent, ...]
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that fits; `occurred_at` is by our clock."""

    event_id: uuid.UUID
    message_id: str
    name: str
    schema_version: int
    occurred_at: datetime
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that does not fit, with its place in the batch."""

    index: int
    event: ClientEvent
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A rejected event as it is kept."""

    id: uuid.UUID
    user_id: uuid.UUID
    message_id: str
    name: str
    reason: str
    message: str
    properties: Mapping[str, Any]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejected, ...]


def event_id(organization_id: uuid.UUID, message_id: str) -> uuid.UUID:
    """Give the id of an event: the same message of an organization has the same for ever."""
    return uuid.uuid5(organization_id, f"event/{message_id}")


def judge(
    batch: Batch, catalogue: Catalogue, *, now: datetime
) -> tuple[list[Accepted], list[Rejected]]:
    """Split a batch into what fits and what does not; times are put right by `sent_at`."""
    skew = timedelta(0) if batch.sent_at is None else now - batch.sent_at
    accepted: list[Accepted] = []
    rejected: list[Rejected] = []
    for index, event in enumerate(batch.events):
        problem = _problem(event, catalogue, skew, now)
        if problem is not None:
            rejected.append(Rejected(index, event, *problem))
            continue
        schema = catalogue.find(event.name, event.schema_version)
        assert schema is not None, event.name
        accepted.append(
            Accepted(
                event_id=event_id(batch.organization_id, event.message_id),
                message_id=event.message_id,
                name=event.name,
                schema_version=schema.version,
                occurred_at=now - _age(event, skew, now),
                properties=event.properties,
            )
        )
    return accepted, rejected


def kept(rejected: Rejected, batch: Batch, *, spare_id: uuid.UUID, now: datetime) -> Failed:
    """Give the form in which a rejected event is kept: bounded, whatever was sent.

    One with a good message id is kept once, however often it is sent.
    """
    event = rejected.event
    has_id = rejected.reason is not Reason.MESSAGE_ID_INVALID
    too_large = size_bytes(event.properties) > PROPERTIES_BYTES_MAX
    return Failed(
        id=event_id(batch.organization_id, event.message_id) if has_id else spare_id,
        user_id=batch.user_id,
        message_id=_storable(event.message_id),
        name=_storable(event.name),
        reason=rejected.reason.value,
        message=rejected.message,
        properties={} if too_large or _has_nul(event.properties) else event.properties,
        received_at=now,
    )


def size_bytes(properties: Mapping[str, Any]) -> int:
    """Give the length of properties as JSON."""
    return len(json.dumps(properties, ensure_ascii=False).encode())


def _problem(
    event: ClientEvent, catalogue: Catalogue, skew: timedelta, now: datetime
) -> tuple[Reason, str] | None:
    if MESSAGE_ID.fullmatch(event.message_id) is None:
        return Reason.MESSAGE_ID_INVALID, 'must be 1 to 64 letters, digits, "-" or "_"'
    schema = catalogue.find(event.name, event.schema_version)
    if schema is None:
        return Reason.UNKNOWN_EVENT, "no schema has this name and version"
    if size_bytes(event.properties) > PROPERTIES_BYTES_MAX:
        return Reason.TOO_LARGE, f"properties must be at most {PROPERTIES_BYTES_MAX} bytes"
    if not -EARLY_MAX <= _age(event, skew, now) <= LATE_MAX:
        return Reason.TIME_OUT_OF_RANGE, "occurred_at is over 7 days ago or 5 minutes ahead"
    if _has_nul(event.properties):
        return Reason.SCHEMA_VIOLATION, "properties must not contain the character U+0000"
    violation = schema.violation(event.properties)
    return None if violation is None else (Reason.SCHEMA_VIOLATION, violation)


def _age(event: ClientEvent, skew: timedelta, now: datetime) -> timedelta:
    # Differences hold any two times; a sum of a time and a difference may not exist.
    return (now - event.occurred_at) - skew


def _has_nul(properties: Mapping[str, Any]) -> bool:
    return "\\u0000" in json.dumps(properties)  # Postgres keeps no such text.


def _storable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:KEPT_CHARACTERS_MAX]
