"""Runs, which the tools service keeps: what a picture was made of."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

from reelmesh.business.tools.v1 import origins_service_pb2 as pb
from reelmesh.business.tools.v1 import origins_service_pb2_grpc as pb_grpc

from business_svc.social.remote import Refused, answers_of
from meshkit.ids import format_id, parse_id
from meshkit.stubs import MeshChannel


@dataclass(frozen=True, slots=True)
class Origin:
    """The tool of a run and the assets that it worked on."""

    tool: str
    inputs: Sequence[uuid.UUID]


@dataclass(frozen=True, slots=True)
class Runs:
    """Asks the tools service; raises `Unavailable` while it is away."""

    stub: pb_grpc.OriginsServiceAsyncStub

    @classmethod
    def over(cls, channel: MeshChannel) -> Self:
        """Return what calls through the channel."""
        stub = channel.stub(pb_grpc.OriginsServiceStub)
        return cls(cast("pb_grpc.OriginsServiceAsyncStub", stub))

    async def origin(self, organization_id: uuid.UUID, run_id: uuid.UUID) -> Origin | None:
        """Return what an organization's run was made of, or None if there is no such run."""
        request = pb.GetRunOriginRequest(
            org_id=format_id("org", organization_id), run_id=format_id("run", run_id)
        )
        try:
            with answers_of("tools"):
                found = await self.stub.GetRunOrigin(request)
        except Refused:
            return None
        inputs = [parse_id("ast", text, field="inputs") for text in found.input_asset_ids]
        return Origin(found.tool, inputs)
