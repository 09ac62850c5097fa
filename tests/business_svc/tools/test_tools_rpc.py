"""The catalogue, estimates and refusals, through a real server."""

from __future__ import annotations

import math
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value
from jsonschema import Draft202012Validator
from reelmesh.business.tools.v1 import tools_service_pb2 as pb
from reelmesh.business.tools.v1 import tools_service_pb2_grpc as pb_grpc

from .harness import Installation, Process, reason, run_request, violations


async def test_the_catalogue_is_for_anyone(process: Process) -> None:
    async with process.mesh.as_anyone(pb_grpc.ToolsServiceStub) as stub:
        listed = (await stub.ListTools(pb.ListToolsRequest())).tools
        assert [tool.tool for tool in listed] == ["image-to-image", "text-to-image"]
        tool = await stub.GetTool(pb.GetToolRequest(tool="text-to-image"))
    assert tool == listed[1]
    schema = MessageToDict(tool.input_schema)
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid({"prompt": "p", "steps": 25})
    assert not Draft202012Validator(schema).is_valid({"prompt": "p", "steps": 101})
    assert "credit" in tool.price


async def test_an_estimate_is_the_price_that_is_held(
    process: Process, installation: Installation
) -> None:
    request = run_request(inputs={"steps": 50}, count=3)
    estimate = await process.stub.EstimateRun(
        pb.EstimateRunRequest(tool=request.tool, inputs=request.inputs, count=3)
    )
    assert installation.platform.holds == {}
    run = await process.stub.RunTool(request)
    assert run.credits_held == estimate.credits == 9


@pytest.mark.parametrize("method", ["GetTool", "EstimateRun", "RunTool"])
async def test_an_unknown_tool_is_refused(process: Process, method: str) -> None:
    requests: dict[str, Any] = {
        "GetTool": pb.GetToolRequest(tool="paint"),
        "EstimateRun": pb.EstimateRunRequest(tool="paint"),
        "RunTool": run_request(tool="paint"),
    }
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(process.stub, method)(requests[method])
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason(refused.value) == "TOOL_NOT_FOUND"


def nested(levels: int) -> Value:
    value = Value(null_value=0)
    for _ in range(levels):
        value = Value(struct_value=Struct(fields={"x": value}))
    return value


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, {"inputs.prompt"}),
        ({"prompt": Value(string_value="x" * 1_000_000)}, {"inputs"}),
        ({"prompt": Value(string_value="x" * 1001)}, {"inputs.prompt"}),
        ({"prompt": Value(string_value="a\0b")}, {"inputs.prompt"}),
        ({"prompt": Value(number_value=math.nan)}, {"inputs.prompt"}),
        (
            {"prompt": Value(string_value="p"), "steps": Value(number_value=math.inf)},
            {"inputs.steps"},
        ),
        ({"prompt": Value(string_value="p"), "steps": Value(number_value=1e300)}, {"inputs.steps"}),
        ({"prompt": nested(20)}, {"inputs.x"}),
        (
            {"a": Value(bool_value=True), "steps": Value(string_value="4")},
            {"inputs.a", "inputs.prompt", "inputs.steps"},
        ),
    ],
)
async def test_bad_inputs_are_refused_with_every_violation_and_change_nothing(
    process: Process, installation: Installation, fields: dict[str, Value], named: set[str]
) -> None:
    request = pb.RunToolRequest(tool="text-to-image", inputs=Struct(fields=fields))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.RunTool(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(refused.value) == "INVALID_INPUTS"
    assert set(violations(refused.value)) == named
    assert await installation.rows() == []
    assert not installation.platform.credits.calls


@pytest.mark.parametrize("count", [0, 9, -1])
async def test_the_count_is_bounded(process: Process, count: int) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.RunTool(run_request(count=count))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_runs_need_a_signed_in_user(process: Process) -> None:
    async with process.mesh.as_anyone(pb_grpc.ToolsServiceStub) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.RunTool(run_request())
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
