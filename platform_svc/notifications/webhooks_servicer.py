"""gRPC surface of webhooks: messages to values, one use case, values to messages."""

from __future__ import annotations

import uuid
from datetime import UTC, timedelta
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from reelmesh.platform.notifications.v1 import webhooks_service_pb2 as pb
from reelmesh.platform.notifications.v1 import webhooks_service_pb2_grpc as pb_grpc

from meshkit.context import current, current_user
from meshkit.idempotency import Call
from meshkit.ids import parse_id
from platform_svc.notifications.delivery_commands import DeliveryCommands
from platform_svc.notifications.endpoint_commands import EndpointCommands
from platform_svc.notifications.webhook_messages import (
    changes_of,
    delivery_message,
    endpoint_message,
    full_delivery_message,
    place_of,
    secret_message,
)
from platform_svc.notifications.webhooks import OVERLAP_DEFAULT, Endpoint

Context = grpc.aio.ServicerContext[Any, Any]
R = TypeVar("R", bound=Message)


class NamesEndpoint(Protocol):
    """A request about one endpoint."""

    org_id: str
    endpoint_id: str


class WebhooksServicer(pb_grpc.WebhooksServiceServicer):
    """Serves WebhooksService; holds no state but its collaborators."""

    def __init__(self, endpoints: EndpointCommands, deliveries: DeliveryCommands) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries

    async def CreateWebhookEndpoint(
        self, request: pb.CreateWebhookEndpointRequest, context: Context
    ) -> pb.WebhookEndpointSecret:
        """Make an endpoint and tell its secret."""
        ambient = self._endpoints.ambient
        wanted = Endpoint(
            id=ambient.new_id(),
            org_id=parse_id("org", request.org_id, field="org_id"),
            url=request.url,
            description=request.description,
            event_types=tuple(sorted(request.event_types)),
            created_by=current_user().user_id,
            created_at=ambient.now(),
        )
        call = _call("CreateWebhookEndpoint", request, pb.WebhookEndpointSecret)
        return await self._told(await self._endpoints.create(wanted, call, secret_message))

    async def ListWebhookEndpoints(
        self, request: pb.ListWebhookEndpointsRequest, context: Context
    ) -> pb.ListWebhookEndpointsResponse:
        """Give every endpoint."""
        found = await self._deliveries.endpoints(parse_id("org", request.org_id, field="org_id"))
        return pb.ListWebhookEndpointsResponse(endpoints=[endpoint_message(one) for one in found])

    async def GetWebhookEndpoint(
        self, request: pb.GetWebhookEndpointRequest, context: Context
    ) -> pb.WebhookEndpoint:
        """Give one endpoint."""
        return endpoint_message(await self._deliveries.endpoint(*_ids(request)))

    async def UpdateWebhookEndpoint(
        self, request: pb.UpdateWebhookEndpointRequest, context: Context
    ) -> pb.WebhookEndpoint:
        """Change an endpoint."""
        changed = await self._endpoints.change(*_ids(request), changes_of(request))
        return endpoint_message(changed)

    async def DeleteWebhookEndpoint(
        self, request: pb.DeleteWebhookEndpointRequest, context: Context
    ) -> pb.DeleteWebhookEndpointResponse:
        """Remove an endpoint."""
        await self._endpoints.remove(*_ids(request))
        return pb.DeleteWebhookEndpointResponse()

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: Context
    ) -> pb.WebhookEndpointSecret:
        """Give an endpoint a new secret."""
        overlap = OVERLAP_DEFAULT
        if request.HasField("overlap_hours"):
            overlap = timedelta(hours=request.overlap_hours)
        call = _call("RotateWebhookSecret", request, pb.WebhookEndpointSecret)
        rotated = await self._endpoints.rotate(_ids(request), overlap, call, secret_message)
        return await self._told(rotated)

    async def TestWebhookEndpoint(
        self, request: pb.TestWebhookEndpointRequest, context: Context
    ) -> pb.WebhookDelivery:
        """Send a test message."""
        call = _call("TestWebhookEndpoint", request, pb.WebhookDelivery)
        return await self._deliveries.test(_ids(request), call, delivery_message)

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, context: Context
    ) -> pb.ListWebhookDeliveriesResponse:
        """Give one page of an endpoint's deliveries."""
        found, token = await self._deliveries.page(
            await self._deliveries.endpoint(*_ids(request)),
            state=request.state,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListWebhookDeliveriesResponse(
            deliveries=[delivery_message(one) for one in found], next_page_token=token
        )

    async def GetWebhookDelivery(
        self, request: pb.GetWebhookDeliveryRequest, context: Context
    ) -> pb.WebhookDelivery:
        """Give one delivery with its log."""
        return full_delivery_message(*await self._deliveries.look_at(place_of(request)))

    async def ReplayWebhookDelivery(
        self, request: pb.ReplayWebhookDeliveryRequest, context: Context
    ) -> pb.WebhookDelivery:
        """Send a message again."""
        call = _call("ReplayWebhookDelivery", request, pb.WebhookDelivery)
        return await self._deliveries.replay(place_of(request), call, delivery_message)

    async def RecoverWebhookEndpoint(
        self, request: pb.RecoverWebhookEndpointRequest, context: Context
    ) -> pb.RecoverWebhookEndpointResponse:
        """Send again what did not arrive."""
        since = request.since.ToDatetime(UTC)
        replayed = await self._deliveries.recover(*_ids(request), since)
        return pb.RecoverWebhookEndpointResponse(replayed=replayed)

    async def _told(self, answer: pb.WebhookEndpointSecret) -> pb.WebhookEndpointSecret:
        """Add the secret, which is kept sealed and never in a remembered answer."""
        endpoint_id = parse_id("whe", answer.endpoint.endpoint_id, field="endpoint_id")
        secret = await self._endpoints.secret(endpoint_id)
        return pb.WebhookEndpointSecret(endpoint=answer.endpoint, secret=secret)


def _ids(request: NamesEndpoint) -> tuple[uuid.UUID, uuid.UUID]:
    return (
        parse_id("org", request.org_id, field="org_id"),
        parse_id("whe", request.endpoint_id, field="endpoint_id"),
    )


def _call(method: str, request: Message, response_type: type[R]) -> Call[R]:
    user = current_user()
    return Call(str(user.user_id), method, current().idempotency_key, request, response_type)
