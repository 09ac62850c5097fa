"""Plain events, of which a test names only what it is about."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from reelmesh.platform.events.v1 import events_service_pb2 as pb

from meshkit.testing.clock import START
from meshkit.testing.identity import USER
from platform_svc.events.collection import Batch, ClientEvent


def client_event(message_id: str = "m1", **changes: Any) -> ClientEvent:
    fields = {
        "message_id": message_id,
        "name": "tool_opened",
        "schema_version": 0,
        "occurred_at": START,
        "properties": {"tool": "text-to-image"},
    }
    return ClientEvent(**(fields | changes))


def batch(*events: ClientEvent, sent_at: datetime | None = None) -> Batch:
    return Batch(USER.organization_id, USER.user_id, events, sent_at)


def event(message_id: str = "m1", **changes: Any) -> pb.ClientEvent:
    """Give an event as a client sends it."""
    one = client_event(message_id, **changes)
    return pb.ClientEvent(
        message_id=one.message_id,
        name=one.name,
        schema_version=one.schema_version,
        occurred_at=timestamp(one.occurred_at),
        properties=struct(one.properties),
    )


def request(*events: pb.ClientEvent) -> pb.CollectEventsRequest:
    return pb.CollectEventsRequest(events=events)


def numbered(count: int) -> list[pb.ClientEvent]:
    return [event(str(uuid.UUID(int=number))) for number in range(count)]


def struct(document: Any) -> Struct:
    made = Struct()
    made.update(document)
    return made


def timestamp(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made
