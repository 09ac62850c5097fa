"""Messages of the events service to values and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from reelmesh.platform.events.v1 import events_events_pb2 as events_pb
from reelmesh.platform.events.v1 import events_service_pb2 as pb

from meshkit.context import UserPrincipal
from meshkit.errors import InvalidRequest
from meshkit.ids import format_id
from meshkit.structs import struct_of
from meshkit.timestamps import timestamp
from platform_svc.events.catalogue import EventSchema
from platform_svc.events.collection import Accepted, Batch, ClientEvent, Failed, Receipt


def batch_of(request: pb.CollectEventsRequest, user: UserPrincipal) -> Batch:
    """Read a batch.

    Raises:
        InvalidRequest: it holds a number or a time that JSON cannot say.
    """
    return Batch(
        organization_id=user.organization_id,
        user_id=user.user_id,
        events=tuple(map(_client_event, request.events)),
        sent_at=_moment(request.sent_at) if request.HasField("sent_at") else None,
    )


def publication(
    batch: Batch, taken: Sequence[Accepted], now: datetime
) -> events_pb.EventsCollected:
    """Give the message that tells others what was taken."""
    return events_pb.EventsCollected(
        events=[
            events_pb.CollectedEvent(
                event_id=str(event.event_id),
                org_id=format_id("org", batch.organization_id),
                user_id=format_id("usr", batch.user_id),
                name=event.name,
                schema_version=event.schema_version,
                occurred_at=timestamp(event.occurred_at),
                received_at=timestamp(now),
                properties=struct_of(event.properties),
            )
            for event in taken
        ]
    )


def receipt_message(receipt: Receipt) -> pb.CollectEventsResponse:
    """Give the answer to a batch."""
    return pb.CollectEventsResponse(
        accepted=receipt.accepted,
        duplicates=receipt.duplicates,
        rejected=[
            pb.RejectedEvent(
                index=one.index,
                message_id=one.event.message_id,
                reason=one.reason.value,
                message=one.message,
            )
            for one in receipt.rejected
        ],
    )


def schema_message(schema: EventSchema) -> pb.EventSchema:
    """Give a schema."""
    return pb.EventSchema(
        name=schema.name,
        version=schema.version,
        description=schema.description,
        properties=struct_of(schema.properties),
    )


def failed_message(failed: Failed) -> pb.FailedEvent:
    """Give a failed event."""
    return pb.FailedEvent(
        failed_event_id=format_id("fev", failed.id),
        user_id=format_id("usr", failed.user_id),
        message_id=failed.message_id,
        name=failed.name,
        reason=failed.reason,
        message=failed.message,
        properties=struct_of(failed.properties),
        received_at=timestamp(failed.received_at),
    )


def _client_event(message: pb.ClientEvent) -> ClientEvent:
    try:
        properties = MessageToDict(message.properties)
    except ValueError as error:
        raise InvalidRequest("numbers in properties must be finite") from error
    return ClientEvent(
        message_id=message.message_id,
        name=message.name,
        schema_version=message.schema_version,
        # One that is left out reads as 1970, which is out of range.
        occurred_at=_moment(message.occurred_at),
        properties=properties,
    )


def _moment(message: Timestamp) -> datetime:
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest("times must be within the years 1 to 9999") from error
