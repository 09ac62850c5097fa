"""Values of webhooks as messages, and messages as values."""

from __future__ import annotations

from collections.abc import Sequence

from reelmesh.platform.notifications.v1 import webhooks_service_pb2 as pb

from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.notifications.delivery_commands import Place
from platform_svc.notifications.endpoint_commands import Changes
from platform_svc.notifications.webhooks import Attempt, Delivery, DeliveryState, Endpoint


def endpoint_message(endpoint: Endpoint) -> pb.WebhookEndpoint:
    """Show an endpoint; its secret is nowhere in it."""
    return pb.WebhookEndpoint(
        endpoint_id=format_id("whe", endpoint.id),
        url=endpoint.url,
        description=endpoint.description,
        event_types=endpoint.event_types,
        enabled=endpoint.disabled is None,
        disabled_reason="" if endpoint.disabled is None else endpoint.disabled.value,
        failing_since=timestamp(endpoint.failing_since),
        created_by=format_id("usr", endpoint.created_by),
        created_at=timestamp(endpoint.created_at),
        former_secret_expires_at=timestamp(endpoint.former_secret_until),
    )


def secret_message(endpoint: Endpoint) -> pb.WebhookEndpointSecret:
    """Show an endpoint where its secret is to be told; that is added to each answer anew."""
    return pb.WebhookEndpointSecret(endpoint=endpoint_message(endpoint))


def delivery_message(delivery: Delivery) -> pb.WebhookDelivery:
    """Show a delivery without its payload and log."""
    pending = delivery.state is DeliveryState.PENDING
    return pb.WebhookDelivery(
        delivery_id=format_id("dlv", delivery.id),
        message_id=format_id("msg", delivery.message_id),
        type=delivery.type,
        state=delivery.state.value,
        attempts=delivery.attempts,
        created_at=timestamp(delivery.created_at),
        next_attempt_at=timestamp(delivery.next_attempt_at if pending else None),
        finished_at=timestamp(delivery.finished_at),
        is_replay=delivery.is_replay,
    )


def full_delivery_message(
    delivery: Delivery, payload: str, attempts: Sequence[Attempt]
) -> pb.WebhookDelivery:
    """Show a delivery with its payload and log."""
    message = delivery_message(delivery)
    message.payload = payload
    message.log.extend(_attempt_message(one) for one in attempts)
    return message


def changes_of(request: pb.UpdateWebhookEndpointRequest) -> Changes:
    """Read what is to change."""
    types = tuple(request.event_types.types) if request.HasField("event_types") else None
    return Changes(
        url=request.url if request.HasField("url") else None,
        description=request.description if request.HasField("description") else None,
        event_types=types,
        enabled=request.enabled if request.HasField("enabled") else None,
    )


def place_of(
    request: pb.GetWebhookDeliveryRequest | pb.ReplayWebhookDeliveryRequest,
) -> Place:
    """Read which delivery is meant."""
    return Place(
        parse_id("org", request.org_id, field="org_id"),
        parse_id("whe", request.endpoint_id, field="endpoint_id"),
        parse_id("dlv", request.delivery_id, field="delivery_id"),
    )


def _attempt_message(attempt: Attempt) -> pb.WebhookAttempt:
    return pb.WebhookAttempt(
        number=attempt.number,
        started_at=timestamp(attempt.started_at),
        duration_ms=attempt.duration_ms,
        status=attempt.answer.status,
        failure=attempt.answer.failure,
        response=attempt.answer.response,
    )
