"""gRPC surface of the tools: messages to values, one use case, values to messages."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct
from reelmesh.business.tools.v1 import tools_service_pb2 as pb
from reelmesh.business.tools.v1 import tools_service_pb2_grpc as pb_grpc

from business_svc.tools import inputs as tool_inputs
from business_svc.tools import pricing
from business_svc.tools.catalog import Catalog, Tool
from business_svc.tools.commands import RunCommands, RunRequest
from business_svc.tools.errors import InvalidInputs
from business_svc.tools.messages import run_message, tool_message
from business_svc.tools.queries import RunQueries
from business_svc.tools.runs import Run
from business_svc.tools.store import Position
from business_svc.tools.watching import RunWatcher
from meshkit.context import current, current_user
from meshkit.errors import InvalidPageToken, InvalidRequest
from meshkit.ids import parse_id
from meshkit.pages import decode_page_token, encode_page_token
from meshkit.structs import UnacceptableStruct, plain

PAGE_SIZE_DEFAULT = 50
COUNT_DEFAULT = 1
LISTING = "runs"

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class ToolsServicer(pb_grpc.ToolsServiceServicer):
    """Serves ToolsService; holds no state but its collaborators."""

    catalog: Catalog
    commands: RunCommands
    queries: RunQueries
    watcher: RunWatcher

    async def ListTools(
        self, request: pb.ListToolsRequest, context: Context
    ) -> pb.ListToolsResponse:
        """Give the catalogue."""
        return pb.ListToolsResponse(tools=map(tool_message, self.catalog.tools()))

    async def GetTool(self, request: pb.GetToolRequest, context: Context) -> pb.Tool:
        """Give one tool."""
        return tool_message(self.catalog.find(request.tool))

    async def EstimateRun(
        self, request: pb.EstimateRunRequest, context: Context
    ) -> pb.EstimateRunResponse:
        """Give the most that a run can cost."""
        tool = self.catalog.find(request.tool)
        inputs = tool_inputs.accept(tool, _inputs(tool, request.inputs))
        price = pricing.run_credits(tool.price, inputs, count=_count(request))
        return pb.EstimateRunResponse(credits=price)

    async def RunTool(self, request: pb.RunToolRequest, context: Context) -> pb.Run:
        """Start a run."""
        run = await self.commands.run(_run_request(self.catalog.find(request.tool), request))
        return await self._message(run)

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> pb.Run:
        """Give one run with its newest progress."""
        run = await self.queries.find(_organization_id(), _run_id(request.run_id))
        return await self._message((await self.queries.with_news([run]))[0])

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        """Give one page of runs."""
        organization_id = _organization_id()
        runs, following = await self.queries.page(
            organization_id,
            after=_position(request.page_token),
            limit=request.page_size or PAGE_SIZE_DEFAULT,
        )
        urls = await self.queries.urls(organization_id, runs)
        messages = [run_message(run, urls) for run in await self.queries.with_news(runs)]
        return pb.ListRunsResponse(runs=messages, next_page_token=_page_token(following))

    async def WatchRun(
        self, request: pb.WatchRunRequest, context: Context
    ) -> AsyncIterator[pb.Run]:
        """Stream one run until its end."""
        last = None
        async for run in self.watcher.watch(_organization_id(), _run_id(request.run_id)):
            message = await self._message(run)
            if message != last:  # Not all that changes is for its owner to see.
                yield message
            last = message

    async def CancelRun(self, request: pb.CancelRunRequest, context: Context) -> pb.Run:
        """Ask for the end of a run."""
        run = await self.commands.cancel(_organization_id(), _run_id(request.run_id))
        return await self._message(run)

    async def _message(self, run: Run) -> pb.Run:
        return run_message(run, await self.queries.urls(run.organization_id, [run]))


def _run_request(tool: Tool, request: pb.RunToolRequest) -> RunRequest:
    user = current_user()
    key = current().idempotency_key or request.request_id or None
    if key is not None and "\0" in key:
        raise InvalidRequest("an idempotency key must not contain the character U+0000")
    # The key itself is no part of what it is bound to.
    bound = pb.RunToolRequest()
    bound.CopyFrom(request)
    bound.ClearField("request_id")
    return RunRequest(
        tool=tool,
        organization_id=user.organization_id,
        user_id=user.user_id,
        inputs=_inputs(tool, request.inputs),
        count=_count(request),
        idempotency_key=key,
        message=bound,
    )


def _inputs(tool: Tool, struct: Struct) -> dict[str, Any]:
    try:
        return plain(struct)
    except UnacceptableStruct as refusal:
        field = f"inputs.{refusal.field}" if refusal.field else "inputs"
        raise InvalidInputs([(field, refusal.description)], tool=tool.name) from None


def _count(request: pb.RunToolRequest | pb.EstimateRunRequest) -> int:
    return request.count if request.HasField("count") else COUNT_DEFAULT


def _organization_id() -> uuid.UUID:
    return current_user().organization_id


def _run_id(text: str) -> uuid.UUID:
    return parse_id("run", text, field="run_id")


def _page_token(position: Position | None) -> str:
    if position is None:
        return ""
    return encode_page_token([LISTING, position.created_at.isoformat(), position.id.hex])


def _position(token: str) -> Position | None:
    if not token:
        return None
    try:
        listing, moment, run_id = decode_page_token(token)
        if listing == LISTING:
            return Position(datetime.fromisoformat(str(moment)), uuid.UUID(hex=str(run_id)))
    except ValueError:
        pass
    raise InvalidPageToken("page_token belongs to another list")
