"""Reads the messages of the stream by their published contracts.

The subject names the message: `reelmesh.business.tools.run_finished` carries `RunFinished` of
`reelmesh.business.tools.v1`. So an event of a new service is read without a change here.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from reelmesh.platform.events.v1.events_events_pb2 import CollectedEvent, EventsCollected

from platform_svc.etl.records import Event, RawEvent

SUBJECT: Final = re.compile(r"reelmesh\.([a-z_]+)\.([a-z_]+)\.([a-z_]+)")
COLLECTED: Final = "reelmesh.platform.events.events_collected"
CLIENT: Final = "client"
ORGANIZATION_FIELDS: Final = ("org_id", "tenant_id", "personal_org_id")
USER_FIELDS: Final = ("user_id", "author_user_id", "owner_user_id")
TIME_FIELDS: Final = ("finished_at", "created_at", "occurred_at")
# What names a person stays out of what analysts see, and so do the texts that people wrote.
PRIVATE_FIELDS: Final = frozenset({"display_name", "email", "name", "inputs", "note", "text"})


def decode(raw: RawEvent) -> Iterator[Event]:
    """Give the events in a message: one, or as many as a batch of frontends holds."""
    try:
        if raw.subject == COLLECTED:
            yield from (_client_event(raw, one) for one in _collected(raw))
        else:
            yield _service_event(raw)
    except (LookupError, ValueError, DecodeError) as error:
        # It stays in the lake, and is read again once the contract is known here.
        yield _event(raw, problem=type(error).__name__)


def name_of(subject: str) -> str:
    """Give the name of the events under a subject."""
    return subject.removeprefix("reelmesh.")


@cache
def message_class(subject: str) -> type[Message]:
    """Find the message that a subject carries.

    Raises:
        LookupError: no contract that is known here has it.
    """
    match = SUBJECT.fullmatch(subject)
    if match is None:
        raise LookupError(subject)
    part, service, event = match.groups()
    try:
        module = importlib.import_module(f"reelmesh.{part}.{service}.v1.{service}_events_pb2")
        kind: type[Message] = getattr(module, "".join(map(str.title, event.split("_"))))
    except (ImportError, AttributeError) as error:
        raise LookupError(subject) from error
    assert issubclass(kind, Message), subject
    return kind


def _service_event(raw: RawEvent) -> Event:
    message = message_class(raw.subject).FromString(raw.data)
    document = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    if len(document) == 1 and isinstance(inner := next(iter(document.values())), dict):
        document = inner  # An event that only wraps what it is about.
    return _event(
        raw,
        occurred_at=_time(_first(document, TIME_FIELDS)),
        org_id=_first(document, ORGANIZATION_FIELDS),
        user_id=_first(document, USER_FIELDS),
        properties=_json(document),
    )


def _collected(raw: RawEvent) -> list[CollectedEvent]:
    # Read as a whole before any is given, so that a bad batch has no good half.
    return list(EventsCollected.FromString(raw.data).events)


def _client_event(raw: RawEvent, one: CollectedEvent) -> Event:
    return Event(
        event_id=one.event_id,
        offset=raw.offset,
        name=f"{CLIENT}.{one.name}",
        schema_version=one.schema_version,
        occurred_at=one.occurred_at.ToDatetime(UTC),
        published_at=raw.published_at,
        org_id=one.org_id,
        user_id=one.user_id,
        properties=_json(MessageToDict(one.properties)),
    )


def _event(
    raw: RawEvent,
    *,
    occurred_at: datetime | None = None,
    org_id: str = "",
    user_id: str = "",
    properties: str = "{}",
    problem: str = "",
) -> Event:
    return Event(
        event_id=raw.event_id,
        offset=raw.offset,
        name=name_of(raw.subject),
        schema_version=1,
        occurred_at=occurred_at or raw.published_at,
        published_at=raw.published_at,
        org_id=org_id,
        user_id=user_id,
        properties=properties,
        problem=problem,
    )


def _first(document: Mapping[str, Any], fields: tuple[str, ...]) -> str:
    return next((str(document[field]) for field in fields if document.get(field)), "")


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _json(document: Mapping[str, Any]) -> str:
    public = {name: value for name, value in document.items() if name not in PRIVATE_FIELDS}
    return json.dumps(public, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
