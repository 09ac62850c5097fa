"""gRPC surface for services that ask what runs were made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from reelmesh.business.tools.v1 import origins_service_pb2 as pb
from reelmesh.business.tools.v1 import origins_service_pb2_grpc as pb_grpc

from business_svc.tools.queries import RunQueries
from business_svc.tools.runs import input_assets
from meshkit.ids import parse_id

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class OriginsServicer(pb_grpc.OriginsServiceServicer):
    """Serves OriginsService; holds no state but its collaborator."""

    queries: RunQueries

    async def GetRunOrigin(
        self, request: pb.GetRunOriginRequest, context: Context
    ) -> pb.GetRunOriginResponse:
        """Tell what a run was made of."""
        run = await self.queries.find(
            parse_id("org", request.org_id, field="org_id"),
            parse_id("run", request.run_id, field="run_id"),
        )
        return pb.GetRunOriginResponse(
            tool=run.spec.tool,
            tool_version=run.spec.tool_version,
            input_asset_ids=input_assets(run),
        )
