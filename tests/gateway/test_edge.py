"""What callers of the public API get, through a real Envoy."""

from __future__ import annotations

import asyncio
import json

import grpc
import httpx
import pytest
from reelmesh.business.tools.v1 import tools_service_pb2, tools_service_pb2_grpc
from reelmesh.platform.assets.v1 import assets_service_pb2, assets_service_pb2_grpc
from reelmesh.platform.credits.v1 import credits_service_pb2, credits_service_pb2_grpc
from reelmesh.platform.identity.v1 import identity_service_pb2

from meshkit.errors import InvalidRequest, Unavailable
from meshkit.ids import format_id
from meshkit.testing.fakes import Reply
from meshkit.testing.identity import USER

SIGN_UP = {"email": "a@example.com", "password": "long enough", "display_name": "A"}


def error_of(reply: httpx.Response) -> dict:
    """Return the first detail of an error, after checking the shape that all errors have."""
    assert reply.headers["content-type"].startswith("application/json"), reply.text
    error = reply.json()
    assert set(error) == {"code", "message", "details"}, reply.text
    assert error["message"]
    detail = error["details"][0]
    assert detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert set(detail) == {"@type", "reason", "domain", "metadata"}
    return detail


async def test_unary_call_is_transcoded_in_snake_case(http, identity_service) -> None:
    user = identity_service_pb2.User(user_id="usr_1", display_name="A")
    identity_service.answer("SignUp", identity_service_pb2.SessionResponse(user=user))
    reply = await http.post("/v1/auth/sign-up", json=SIGN_UP)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json()["user"]["display_name"] == "A"
    # Fields that are not set are printed too.
    assert reply.json()["user"]["email"] == ""
    assert identity_service.calls["SignUp"][0].display_name == "A"
    assert not [name for name in reply.headers if name.startswith(("grpc-", "x-envoy-"))]


async def test_path_query_body_and_headers_arrive(user_http, tools) -> None:
    tools.answer("RunTool", tools_service_pb2.Run(run_id="run_1"))
    tools.answer("ListRuns", tools_service_pb2.ListRunsResponse())
    body = {"inputs": {"prompt": "é", "nested": [{"x": None}, 1.5]}, "count": 2}
    headers = {"idempotency-key": "k1", "x-request-id": "r1", "x-reelmesh-service": "forged"}
    reply = await user_http.post("/v1/tools/text-to-image:run", json=body, headers=headers)
    assert reply.json()["run_id"] == "run_1"
    assert reply.headers["x-request-id"] == "r1"
    request = tools.calls["RunTool"][0]
    assert (request.tool, request.count, request.inputs["prompt"]) == ("text-to-image", 2, "é")
    metadata = tools.metadata["RunTool"][0]
    assert metadata["idempotency-key"] == "k1"
    assert metadata["x-request-id"] == "r1"
    assert metadata["authorization"].startswith("Bearer ")
    assert "x-reelmesh-service" not in metadata
    await user_http.get("/v1/runs", params={"page_size": 7, "page_token": "a+b c"})
    assert tools.calls["ListRuns"][0].page_size == 7
    assert tools.calls["ListRuns"][0].page_token == "a+b c"


async def test_request_id_is_made_when_none_is_sent(http, tools) -> None:
    tools.answer("ListTools", tools_service_pb2.ListToolsResponse())
    reply = await http.get("/v1/tools")
    assert reply.headers["x-request-id"] == tools.metadata["ListTools"][0]["x-request-id"]


async def test_refusal_of_a_service_keeps_its_details(user_http, tools) -> None:
    refusal = InvalidRequest("bad", field_violations=[("inputs", "no")], tool="t")
    tools.answer("EstimateRun", refusal)
    reply = await user_http.post("/v1/tools/t:estimate", json={})
    assert reply.status_code == 400
    error = reply.json()
    assert error["code"] == 3
    assert error["details"][0]["reason"] == "INVALID_REQUEST"
    assert error["details"][0]["metadata"] == {"tool": "t"}
    assert error["details"][1]["field_violations"][0]["field"] == "inputs"


async def test_server_stream_is_server_sent_events(user_http, tools) -> None:
    """Each event arrives when it is sent, not at the end."""
    seen = asyncio.Event()

    async def runs(request):
        async def stream():
            yield tools_service_pb2.Run(run_id=request.run_id, state="queued")
            await asyncio.wait_for(seen.wait(), 10)
            yield tools_service_pb2.Run(run_id=request.run_id, state="succeeded")

        return stream()

    tools.answer("WatchRun", runs)
    events = []
    async with user_http.stream("GET", "/v1/runs/run_7:watch") as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["cache-control"] == "no-cache"
        async for line in reply.aiter_lines():
            if line:
                events.append(json.loads(line.removeprefix("data:")))
                seen.set()
    assert [event["state"] for event in events] == ["queued", "succeeded"]
    assert events[0]["run_id"] == "run_7"


async def test_redirect_is_a_real_redirect(user_http, fakes) -> None:
    message = assets_service_pb2.DownloadAssetResponse(url="http://store/x")
    metadata = (("x-http-code", "302"), ("location", "http://store/x"))
    fakes["assets"].answer("DownloadAsset", Reply(message, metadata))
    reply = await user_http.get("/v1/assets/ast_1/download")
    assert reply.status_code == 302
    assert reply.headers["location"] == "http://store/x"
    assert "x-http-code" not in reply.headers
    assert reply.json()["url"] == "http://store/x"


async def test_empty_body_is_an_empty_message(user_http, identity_service) -> None:
    identity_service.always("SignOut", identity_service_pb2.SignOutResponse())
    assert (await user_http.post("/v1/auth/sign-out")).status_code == 200
    assert (await user_http.post("/v1/auth/sign-out", json={})).status_code == 200
    assert len(identity_service.calls["SignOut"]) == 2


async def test_only_harmless_calls_are_repeated(user_http, tools) -> None:
    tools.answer("GetRun", Unavailable("once"), tools_service_pb2.Run(run_id="run_1"))
    reply = await user_http.get("/v1/runs/run_1")
    assert (reply.status_code, len(tools.calls["GetRun"])) == (200, 2)
    tools.answer("RunTool", Unavailable("once"), tools_service_pb2.Run(run_id="run_1"))
    reply = await user_http.post("/v1/tools/x:run", json={})
    assert (reply.status_code, len(tools.calls["RunTool"])) == (503, 1)


async def test_grpc_callers_use_the_same_door(edge, edge_identity, tools) -> None:
    tools.answer("GetRun", tools_service_pb2.Run(run_id="run_1"))
    async with grpc.aio.insecure_channel(edge.address) as channel:
        stub = tools_service_pb2_grpc.ToolsServiceStub(channel)
        request = tools_service_pb2.GetRunRequest(run_id="run_1")
        reply = await stub.GetRun(request, metadata=edge_identity.user_metadata())
        assert reply.run_id == "run_1"
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.GetRun(request)
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_methods_of_services_cannot_be_reached(edge, edge_identity, fakes) -> None:
    metadata = edge_identity.service_metadata("business")
    org_id = format_id("org", USER.organization_id)
    async with grpc.aio.insecure_channel(edge.address) as channel:
        calls = [
            credits_service_pb2_grpc.CreditsServiceStub(channel).HoldCredits(
                credits_service_pb2.HoldCreditsRequest(), metadata=metadata
            ),
            assets_service_pb2_grpc.AssetsServiceStub(channel).ResolveAsset(
                assets_service_pb2.ResolveAssetRequest(org_id=org_id), metadata=metadata
            ),
            channel.unary_unary("/grpc.health.v1.Health/Check")(b""),
            channel.unary_unary("/reelmesh.inference.jobs.v1.JobsService/SubmitJob")(b""),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await call
            assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert not fakes["credits"].calls
    assert not fakes["assets"].calls


async def test_healthz_and_pages_are_open(http) -> None:
    assert (await http.get("/healthz")).status_code == 200
    document = await http.get("/openapi.json")
    assert document.status_code == 200
    assert document.headers["content-type"] == "application/json"
    assert document.json()["openapi"] == "3.1.0"
    page = await http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "/openapi.json" in page.text


async def test_preflight_and_cors(http, tools) -> None:
    headers = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,idempotency-key",
    }
    reply = await http.options("/v1/tools/text-to-image:run", headers=headers)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] in ("*", "https://app.example")
    assert "idempotency-key" in reply.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in reply.headers
    refused = await http.get("/v1/runs", headers={"origin": "https://app.example"})
    assert refused.status_code == 401
    # A browser hides the error from its page without this.
    assert "access-control-allow-origin" in refused.headers
    assert not tools.calls


async def test_access_log_has_no_secrets(edge, http, tools) -> None:
    tools.answer("ListTools", tools_service_pb2.ListToolsResponse())
    headers = {"authorization": "Bearer s3cret-token", "x-request-id": "logged-1"}
    await http.get("/v1/tools?page=s3cret-query", headers=headers)
    text = await edge.logged("logged-1")
    assert "s3cret" not in text
    line = next(json.loads(line) for line in text.splitlines() if "logged-1" in line)
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/tools", 400)
    assert line["request_id"] == "logged-1"
