"""What other services learn of a run: the tool and the assets that it worked on."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from reelmesh.business.tools.v1 import origins_service_pb2 as pb
from reelmesh.business.tools.v1 import origins_service_pb2_grpc as pb_grpc
from reelmesh.business.tools.v1 import tools_service_pb2 as tools_pb
from reelmesh.platform.assets.v1 import assets_service_pb2 as assets_pb

from meshkit.clock import uuid7
from meshkit.ids import format_id
from meshkit.testing.identity import USER
from meshkit.testing.servers import serve

from .harness import Installation, Process, reason, run_request

ORG = format_id("org", USER.organization_id)


@pytest.fixture
async def origins(process: Process, installation: Installation):
    service = process.tools.origins_service()
    async with (
        serve(service, identity=installation.identity) as mesh,
        mesh.as_service(pb_grpc.OriginsServiceStub, "business") as stub,
    ):
        yield stub


async def test_a_run_tells_its_input_asset(process: Process, installation, origins) -> None:
    asset = format_id("ast", uuid7())
    installation.platform.ready[asset] = assets_pb.Asset(asset_id=asset, org_id=ORG)
    inputs = Struct()
    inputs.update({"prompt": "a red circle", "image": asset})
    request = tools_pb.RunToolRequest(tool="image-to-image", inputs=inputs)
    run = await process.stub.RunTool(request)
    origin = await origins.GetRunOrigin(pb.GetRunOriginRequest(org_id=ORG, run_id=run.run_id))
    assert (origin.tool, origin.tool_version) == ("image-to-image", run.tool_version)
    assert list(origin.input_asset_ids) == [asset]


async def test_a_prompt_that_looks_like_an_asset_is_no_input(process: Process, origins) -> None:
    run = await process.stub.RunTool(run_request(inputs={"prompt": format_id("ast", uuid7())}))
    origin = await origins.GetRunOrigin(pb.GetRunOriginRequest(org_id=ORG, run_id=run.run_id))
    assert list(origin.input_asset_ids) == []


async def test_another_organizations_run_is_not_found(process: Process, origins) -> None:
    run = await process.stub.RunTool(run_request())
    other = pb.GetRunOriginRequest(org_id=format_id("org", uuid7()), run_id=run.run_id)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await origins.GetRunOrigin(other)
    assert reason(refused.value) == "RUN_NOT_FOUND"
