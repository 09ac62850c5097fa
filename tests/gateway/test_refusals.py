"""What the edge refuses by itself: each with the right status and the one shape of errors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from dataclasses import replace

import httpx
import jwt
import pytest
from reelmesh.business.tools.v1 import tools_service_pb2
from reelmesh.platform.identity.v1 import identity_service_pb2

from gateway.topology import Limits
from meshkit.ids import format_id
from meshkit.keys import create_private_key, read_private_key, thumbprint
from meshkit.server import ServerSettings
from meshkit.testing.identity import USER
from meshkit.testing.servers import serve

RUN = "/v1/tools/text-to-image:run"
SIGN_UP = "/v1/auth/sign-up"
JSON = {"content-type": "application/json"}


def reason_of(reply: httpx.Response) -> str:
    error = reply.json()
    assert set(error) == {"code", "message", "details"}, reply.text
    assert error["message"]
    [detail] = error["details"]
    assert set(detail) == {"@type", "reason", "domain", "metadata"}
    assert detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert detail["domain"] == "edge.reelmesh"
    assert detail["metadata"]["request_id"] == reply.headers.get("x-request-id")
    assert reply.headers["content-type"].startswith("application/json")
    return detail["reason"]


def claims(**changes):
    now = int(time.time())  # noqa: TID251 - Envoy reads the real clock.
    good = {
        "iss": "https://reelmesh.local",
        "aud": "reelmesh",
        "sub": format_id("usr", USER.user_id),
        "sid": format_id("ses", USER.session_id),
        "org": format_id("org", USER.organization_id),
        "iat": now - 100,
        "exp": now + 100,
    }
    return good | changes


def signed(identity, payload, **headers) -> str:
    key = read_private_key(identity.private_key_file)
    given = {"typ": "at+jwt", "kid": thumbprint(key.public_key())} | headers
    return jwt.encode(payload, key, algorithm="EdDSA", headers=given)


def unsigned(identity) -> str:
    kid = jwt.get_unverified_header(signed(identity, {}))["kid"]
    header = {"alg": "none", "typ": "at+jwt", "kid": kid}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims())]
    return b".".join(part.rstrip(b"=") for part in parts).decode() + "."


def foreign(identity, folder) -> str:
    kid = jwt.get_unverified_header(signed(identity, {}))["kid"]
    key = create_private_key(folder / "foreign.pem")
    return jwt.encode(claims(), key, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": kid})


TOKENS = {
    "expired": (
        "TOKEN_EXPIRED",
        lambda identity, folder: signed(identity, claims(exp=1_700_000_000)),
    ),
    "alg none": ("TOKEN_INVALID", lambda identity, folder: unsigned(identity)),
    "wrong audience": ("TOKEN_INVALID", lambda identity, folder: signed(identity, claims(aud="x"))),
    "wrong issuer": ("TOKEN_INVALID", lambda identity, folder: signed(identity, claims(iss="x"))),
    "foreign key": ("TOKEN_INVALID", foreign),
    "hs256": (
        "TOKEN_INVALID",
        lambda identity, folder: jwt.encode(claims(), "k" * 32, algorithm="HS256"),
    ),
    "unknown key": ("TOKEN_INVALID", lambda identity, folder: signed(identity, claims(), kid="x")),
    "nonsense": ("TOKEN_INVALID", lambda identity, folder: "nonsense"),
    # The edge does not look at the type, the service does.
    "wrong type": ("TOKEN_INVALID", lambda identity, folder: signed(identity, claims(), typ="JWT")),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_bad_token_is_refused(http, edge_identity, tools, tmp_path, name) -> None:
    reason, make = TOKENS[name]
    headers = {"authorization": f"Bearer {make(edge_identity, tmp_path)}"}
    reply = await http.get("/v1/runs", headers=headers)
    assert reply.status_code == 401
    assert reply.json()["code"] == 16
    assert reply.json()["details"][0]["reason"] == reason
    assert not tools.calls


async def test_missing_token_is_refused(http, tools) -> None:
    for reply in (await http.get("/v1/runs"), await http.post(RUN, json={"unknown": 1})):
        assert reply.status_code == 401
        assert reason_of(reply) == "TOKEN_MISSING"
    assert not tools.calls


async def test_bad_token_is_no_hindrance_where_none_is_needed(http, tools) -> None:
    tools.answer("ListTools", tools_service_pb2.ListToolsResponse())
    reply = await http.get("/v1/tools", headers={"authorization": "Bearer nonsense"})
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"nonsense": 1}', "nonsense"),
        ('{"inputs": {}, "Count": 1}', "Count"),
        # One spelling per field: the API speaks snake_case.
        ('{"requestId": "x"}', "requestId"),
        # The path has said it already.
        ('{"tool": "other"}', "tool"),
        ('{"\\u0063ounts": 1}', "counts"),
        ('{"": 1}', ""),
        ('{"count\\u0000": 1}', "count?"),
        ('{"\\"}],\\"code\\":0": 1}', "?????code??0"),
    ],
)
async def test_unknown_field_is_named(user_http, tools, body, field) -> None:
    reply = await user_http.post(RUN, content=body, headers=JSON)
    assert reply.status_code == 400
    assert reason_of(reply) == "UNKNOWN_FIELD"
    assert reply.json()["code"] == 3
    assert reply.json()["details"][0]["metadata"]["field"] == field
    assert not tools.calls


@pytest.mark.parametrize(
    "body",
    [
        "{",
        '{"count": }',
        '{"count": 01}',
        '{"count": 1,}',
        '{"count": 1} x',
        "{'count': 1}",
        '{"count": 1, "count": 2}',
        '{"inputs": {"a": 1, "a": 2}}',
        '{"count": nul}',
        '{"count": NaN}',
        '{"inputs": {"a": "\x01"}}',
        '{"inputs": {"a": "\\x"}}',
        '{"inputs": {"a": "\\u12"}}',
        '{"inputs": {"a": "open}}',
        "[]",
        '"text"',
        "1",
        "null",
        "[" * 100_000,
        '{"inputs":' * 100 + "{}" + "}" * 100,
        '{"inputs": {"a": ' + "[" * 50 + "]" * 50 + "}}",
    ],
    ids=lambda body: body[:20],
)
async def test_malformed_json_is_refused(user_http, tools, body) -> None:
    reply = await user_http.post(RUN, content=body, headers=JSON)
    assert reply.status_code == 400, reply.text
    assert reason_of(reply) == "MALFORMED_REQUEST"
    assert not tools.calls


@pytest.mark.parametrize(
    "body",
    [
        {"count": "two"},
        {"count": {}},
        {"count": [1]},
        {"count": True},
        {"count": 1.5},
        {"count": 1e300},
        {"inputs": []},
        {"inputs": "text"},
        {"inputs": 5},
        {"request_id": 5},
        {"request_id": ["x"]},
        {"request_id": {}},
        {"request_id": False},
    ],
    ids=str,
)
async def test_wrong_types_are_refused(user_http, tools, body) -> None:
    reply = await user_http.post(RUN, json=body)
    assert reply.status_code == 400, reply.text
    assert reason_of(reply) == "MALFORMED_REQUEST"
    assert not tools.calls


async def test_invalid_utf8_is_refused(user_http, tools) -> None:
    tools.always("RunTool", tools_service_pb2.Run())
    reply = await user_http.post(RUN, content=b'{"request_id": "\xff\xfe"}', headers=JSON)
    assert reply.status_code == 400, reply.text
    assert not tools.calls


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": {"anything": [{"deep": [1, "x", None, True]}], "": {}}, "count": 3},
        {"count": None, "inputs": None},
        {"count": "3"},
        {"request_id": 'quotes " and \\ and \u2028 and \U0001f600'},
    ],
    ids=str,
)
async def test_good_bodies_pass(user_http, tools, body) -> None:
    tools.answer("RunTool", tools_service_pb2.Run(run_id="run_1"))
    reply = await user_http.post(RUN, content=json.dumps(body, indent=2), headers=JSON)
    assert reply.status_code == 200, reply.text
    request = tools.calls["RunTool"][0]
    assert request.request_id == body.get("request_id", "")


async def test_unknown_query_parameter_is_refused(user_http, tools) -> None:
    reply = await user_http.get("/v1/runs", params={"page": "1"})
    assert reply.status_code == 400
    assert reason_of(reply) == "MALFORMED_REQUEST"
    reply = await user_http.get("/v1/runs", params={"page_size": "many"})
    assert reply.status_code == 400
    assert not tools.calls


async def listening_while_sending(http: httpx.AsyncClient, path: str, body: bytes):
    """Post as RFC 9112 section 9.5 asks of clients: the answer may come before the body's end."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    fields = {**http.headers, **JSON, "host": "edge", "content-length": str(len(body))}
    fields.pop("accept-encoding")
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    async with asyncio.timeout(10):
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        received = dict(line.split(": ", 1) for line in lines if line)
        content = await reader.readexactly(int(received["content-length"]))
    writer.transport.abort()
    return httpx.Response(int(status.split()[1]), headers=received, content=content)


@pytest.mark.parametrize("size", [257 * 1024, 1_000_000, 5_000_000, 50_000_000])
async def test_large_body_is_refused(user_http, tools, size) -> None:
    body = json.dumps({"inputs": {"prompt": "x" * size}}).encode()
    reply = await listening_while_sending(user_http, RUN, body)
    assert reply.status_code == 413
    assert reason_of(reply) == "REQUEST_TOO_LARGE"
    assert not tools.calls


async def test_body_just_below_the_limit_passes(user_http, tools) -> None:
    tools.answer("RunTool", tools_service_pb2.Run())
    body = json.dumps({"inputs": {"prompt": "x" * 250_000}})
    assert (await user_http.post(RUN, content=body, headers=JSON)).status_code == 200
    assert len(tools.calls["RunTool"][0].inputs["prompt"]) == 250_000


async def test_large_reply_passes(user_http, tools) -> None:
    runs = [tools_service_pb2.Run(run_id=f"run_{n}", state="x" * 7000) for n in range(200)]
    tools.answer("ListRuns", tools_service_pb2.ListRunsResponse(runs=runs))
    reply = await user_http.get("/v1/runs")
    assert reply.status_code == 200
    assert len(reply.json()["runs"]) == 200


@pytest.mark.parametrize(
    "type_", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_other_media_types_are_refused(http, identity_service, type_) -> None:
    reply = await http.post(SIGN_UP, content="email=a", headers={"content-type": type_})
    assert reply.status_code == 415
    assert reason_of(reply) == "UNSUPPORTED_MEDIA_TYPE"
    assert not identity_service.calls["SignUp"]


async def test_charset_is_allowed(http, identity_service) -> None:
    identity_service.answer("SignIn", identity_service_pb2.SessionResponse())
    headers = {"content-type": "application/json; charset=utf-8"}
    body = '{"email": "a", "password": "b"}'
    reply = await http.post("/v1/auth/sign-in", content=body, headers=headers)
    assert reply.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/nothing",
        "/v1/runs/a/b",
        "/v2/runs",
        "/v1/tools/x:paint/y",
        "/reelmesh.platform.credits.v1.CreditsService/HoldCredits",
        "/reelmesh.platform.identity.v1.IdentityService/GetMe",
        "/grpc.health.v1.Health/Check",
    ],
)
async def test_unknown_path_is_refused(user_http, path) -> None:
    for verb in ("GET", "POST"):
        reply = await user_http.request(verb, path)
        assert reply.status_code == 404
        assert reason_of(reply) == "ROUTE_NOT_FOUND"


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("DELETE", "/v1/runs", "GET, OPTIONS"),
        ("GET", RUN, "OPTIONS, POST"),
        ("PATCH", "/v1/assets", "GET, OPTIONS, POST"),
        ("POST", "/v1/runs/run_1:watch", "GET, OPTIONS"),
        ("OPTIONS", "/v1/runs", "GET, OPTIONS"),
    ],
)
async def test_wrong_verb_is_refused(user_http, verb, path, allowed) -> None:
    reply = await user_http.request(verb, path)
    assert reply.status_code == 405
    assert reason_of(reply) == "METHOD_NOT_ALLOWED"
    assert reply.headers["allow"] == allowed


async def test_escaped_slash_is_refused(user_http, tools) -> None:
    reply = await user_http.get("/v1/runs/a%2Fb")
    assert reply.status_code == 400
    assert reason_of(reply) == "MALFORMED_REQUEST"
    assert not tools.calls


async def test_slow_service_is_a_timeout(user_http, tools) -> None:
    """The caller's own grpc-timeout reaches the service, which answers at the deadline."""

    async def wait(request):
        await asyncio.Event().wait()

    tools.answer("GetTool", wait)
    reply = await user_http.get("/v1/tools/x", headers={"grpc-timeout": "300m"})
    assert reply.status_code == 504
    assert reply.json()["details"][0]["reason"] == "DEADLINE_EXCEEDED"


class TestOutages:
    """An edge of its own, whose parts are away or come late."""

    async def test_part_that_is_away(self, spare_edge, edge_identity) -> None:
        async with spare_edge(Limits()) as edge:
            reply = await get_when_up(edge, "/v1/tools")
            assert reply.status_code == 503
            assert reason_of(reply) == "UNAVAILABLE"
            assert (await get_when_up(edge, "/healthz")).status_code == 503
            # Without keys no token can be judged, which is no fault of the token's.
            headers = {"authorization": f"Bearer {edge_identity.user_token()}"}
            reply = await get_when_up(edge, "/v1/runs", headers)
            assert reply.status_code == 503
            assert reason_of(reply) == "UNAVAILABLE"

    async def test_part_that_comes_back(self, edge_factory, edge_identity, tools) -> None:
        tools.always("ListTools", tools_service_pb2.ListToolsResponse())
        async with edge_factory(lambda topology: topology) as edge:
            assert (await get_when_up(edge, "/v1/tools")).status_code == 503
            business = edge.topology.upstreams[1].endpoints[0].address
            settings = ServerSettings(f"{business.host}:{business.port}", drain_seconds=0)
            async with serve(tools.service(), identity=edge_identity, settings=settings):
                assert await status_in_time(edge, 200) == 200
            assert await status_in_time(edge, 503) == 503

    async def test_sign_in_is_limited(self, spare_edge) -> None:
        async with spare_edge(Limits(auth_requests_per_second=3)) as edge:
            await get_when_up(edge, "/v1/tools")
            async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as client:
                body = {"email": "a", "password": "b"}
                calls = [client.post("/v1/auth/sign-in", json=body) for _ in range(12)]
                replies = await asyncio.gather(*calls)
            limited = [reply for reply in replies if reply.status_code == 429]
            assert limited
            assert reason_of(limited[0]) == "RATE_LIMITED"
            assert limited[0].headers["retry-after"] == "1"


async def status_in_time(edge, wanted: int) -> int:
    """Return the status of an open call once it is the wanted one; health is seen by polling."""
    async with asyncio.timeout(20):
        while True:
            status = (await get_when_up(edge, "/v1/tools")).status_code
            if status == wanted:
                return status
            await asyncio.sleep(0.05)


async def get_when_up(edge, path, headers=None) -> httpx.Response:
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=edge.url, trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                return await client.get(path, headers=headers)
            await asyncio.sleep(0.05)  # Another process: there is nothing to wait on.


@pytest.fixture
def spare_edge(edge, edge_factory):
    """Makes edges whose parts do not exist."""
    return lambda limits: edge_factory(lambda topology: replace(topology, limits=limits))
