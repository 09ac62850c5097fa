"""gRPC surface of events: messages to values, one use case, values to messages."""

from __future__ import annotations

from typing import Any

import grpc
from reelmesh.platform.events.v1 import events_service_pb2 as pb
from reelmesh.platform.events.v1 import events_service_pb2_grpc as pb_grpc

from meshkit.context import current_user
from platform_svc.events import messages
from platform_svc.events.commands import EventCommands
from platform_svc.events.queries import EventQueries

Context = grpc.aio.ServicerContext[Any, Any]


class EventsServicer(pb_grpc.EventsServiceServicer):
    """Serves EventsService; holds no state but its collaborators."""

    def __init__(self, commands: EventCommands, queries: EventQueries) -> None:
        self._commands = commands
        self._queries = queries

    async def CollectEvents(
        self, request: pb.CollectEventsRequest, context: Context
    ) -> pb.CollectEventsResponse:
        """Take a batch of events."""
        receipt = await self._commands.collect(messages.batch_of(request, current_user()))
        return messages.receipt_message(receipt)

    async def ListEventSchemas(
        self, request: pb.ListEventSchemasRequest, context: Context
    ) -> pb.ListEventSchemasResponse:
        """Give every schema."""
        schemas = map(messages.schema_message, self._commands.catalogue.schemas)
        return pb.ListEventSchemasResponse(schemas=schemas)

    async def ListFailedEvents(
        self, request: pb.ListFailedEventsRequest, context: Context
    ) -> pb.ListFailedEventsResponse:
        """Give one page of the organization's failed events."""
        page = await self._queries.failed(
            current_user().organization_id,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListFailedEventsResponse(
            failed_events=map(messages.failed_message, page.failed),
            next_page_token=page.next_page_token,
        )
