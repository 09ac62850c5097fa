"""Bad input and strangers: the right status, a reason, no stack trace, and nothing changed."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.client import ReelmeshClient
from meshkit.clock import Ambient, utc_now
from meshkit.context import UserPrincipal
from meshkit.ids import format_id
from meshkit.keys import read_private_key
from meshkit.tokens import AccessTokenSigner
from tests.journeys.mesh import Mesh

RUN = "/v1/tools/text-to-image:run"
GOOD = {"inputs": {"prompt": "a red circle", "steps": 4}}


@dataclass(frozen=True)
class Bad:
    """A request, and what must be answered."""

    method: str
    path: str
    body: bytes | None
    status: int
    reason: str


def posted(path: str, body: object, status: int, reason: str) -> Bad:
    return Bad("POST", path, json.dumps(body).encode(), status, reason)


def run_with(status: int, reason: str, **inputs: object) -> Bad:
    return posted(RUN, {"inputs": {"prompt": "x", **inputs}}, status, reason)


BAD = {
    "malformed JSON": Bad("POST", RUN, b'{"inputs": {"prompt": ', 400, "MALFORMED_REQUEST"),
    "no JSON at all": Bad("POST", RUN, b"\x00\xff\xfe", 400, "MALFORMED_REQUEST"),
    "unknown field": posted(RUN, GOOD | {"bogus": 1}, 400, "UNKNOWN_FIELD"),
    "unknown field at sign-up": posted(
        "/v1/auth/sign-up",
        {"email": "a@example.com", "password": "x" * 12, "display_name": "A", "admin": True},
        400,
        "UNKNOWN_FIELD",
    ),
    "unknown input": run_with(400, "INVALID_INPUTS", bogus=1),
    "inputs of the wrong type": posted(RUN, {"inputs": "x"}, 400, "MALFORMED_REQUEST"),
    "prompt of the wrong type": run_with(400, "INVALID_INPUTS", prompt=7),
    "steps of the wrong type": run_with(400, "INVALID_INPUTS", steps="many"),
    "too many steps": run_with(400, "INVALID_INPUTS", steps=101),
    "a fraction of a step": run_with(400, "INVALID_INPUTS", steps=4.5),
    "no prompt": posted(RUN, {"inputs": {}}, 400, "INVALID_INPUTS"),
    "empty prompt": run_with(400, "INVALID_INPUTS", prompt=""),
    "long prompt": run_with(400, "INVALID_INPUTS", prompt="x" * 1001),
    "prompt of 1 MB": run_with(413, "REQUEST_TOO_LARGE", prompt="x" * 1_000_000),
    "count of zero": posted(RUN, GOOD | {"count": 0}, 400, "INVALID_REQUEST"),
    "count of nine": posted(RUN, GOOD | {"count": 9}, 400, "INVALID_REQUEST"),
    "count of the wrong type": posted(RUN, GOOD | {"count": "two"}, 400, "MALFORMED_REQUEST"),
    "unknown tool": posted("/v1/tools/nope:run", GOOD, 404, "TOOL_NOT_FOUND"),
    "unknown tool's estimate": posted("/v1/tools/nope:estimate", GOOD, 404, "TOOL_NOT_FOUND"),
    "an image that is no asset": posted(
        "/v1/tools/image-to-image:run",
        {"inputs": {"prompt": "x", "image": "ast_zzz"}},
        400,
        "INVALID_INPUTS",
    ),
    "an id of another kind": Bad("GET", "/v1/runs/ast_nonsense", None, 400, "INVALID_ID"),
    "a run that is not": Bad(
        "GET", f"/v1/runs/{format_id('run', uuid.UUID(int=7))}", None, 404, "RUN_NOT_FOUND"
    ),
    "a broken page token": Bad("GET", "/v1/runs?page_token=x", None, 400, "INVALID_PAGE_TOKEN"),
    "a page too large": Bad("GET", "/v1/runs?page_size=100000", None, 400, "INVALID_REQUEST"),
    "an unknown path": Bad("GET", "/v1/nothing", None, 404, "ROUTE_NOT_FOUND"),
}


def assert_refused(answer: httpx.Response, status: int, reason: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    document = answer.json()
    assert set(document) <= {"code", "message", "details"}
    assert isinstance(document["code"], int)
    assert document["message"]
    reasons = [one["reason"] for one in document["details"] if "reason" in one]
    assert reasons == [reason], answer.text
    for trace in ("Traceback", 'File "', "asyncpg", "sqlalchemy", "grpc.aio"):
        assert trace not in answer.text


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_refused_and_changes_nothing(mesh: Mesh, name: str) -> None:
    bad = BAD[name]
    async with mesh.user() as client, mesh.http(client) as http:
        answer = await http.request(
            bad.method, bad.path, content=bad.body, headers={"content-type": "application/json"}
        )

        assert_refused(answer, bad.status, bad.reason)
        await assert_untouched(client)


async def assert_untouched(client: ReelmeshClient) -> None:
    balance = await client.balance()
    assert (balance["available"], balance["held"]) == (500, 0)
    assert (await client.call("GET", "/v1/runs"))["runs"] == []
    assert (await client.call("GET", "/v1/assets"))["assets"] == []


async def test_what_belongs_to_another_user_does_not_exist(mesh: Mesh) -> None:
    async with mesh.users(2) as (owner, stranger):
        run = await owner.run("text-to-image", GOOD["inputs"])
        run = await owner.finished(run["run_id"])
        asset_id = run["outputs"][0]["asset_id"]
        async with mesh.http(stranger) as http:
            for method, path, reason in (
                ("GET", f"/v1/runs/{run['run_id']}", "RUN_NOT_FOUND"),
                ("GET", f"/v1/runs/{run['run_id']}:watch", "RUN_NOT_FOUND"),
                ("POST", f"/v1/runs/{run['run_id']}:cancel", "RUN_NOT_FOUND"),
                ("GET", f"/v1/assets/{asset_id}", "ASSET_NOT_FOUND"),
                ("GET", f"/v1/assets/{asset_id}/download", "ASSET_NOT_FOUND"),
                ("DELETE", f"/v1/assets/{asset_id}", "ASSET_NOT_FOUND"),
            ):
                body = {"json": {}} if method == "POST" else {}
                assert_refused(await http.request(method, path, **body), 404, reason)
            inputs = {"prompt": "x", "image": asset_id}
            answer = await http.post("/v1/tools/image-to-image:run", json={"inputs": inputs})
            assert_refused(answer, 404, "ASSET_NOT_FOUND")
            org = owner.session.org_id if owner.session else ""
            for path in (f"/v1/orgs/{org}/balance", f"/v1/orgs/{org}/ledger"):
                answer = await http.get(path)
                assert answer.status_code in {403, 404}
        await assert_untouched(stranger)
        assert (await owner.download(asset_id)).startswith(b"\x89PNG")


def claims_of(client: ReelmeshClient) -> dict[str, Any]:
    assert client.session is not None
    return jwt.decode(client.session.access_token, options={"verify_signature": False})


def forged(client: ReelmeshClient, key: Any, algorithm: str, **changes: object) -> str:
    assert client.session is not None
    header = jwt.get_unverified_header(client.session.access_token)
    claims: Mapping[str, Any] = claims_of(client) | changes
    return jwt.encode(
        dict(claims), key, algorithm=algorithm, headers={"kid": header["kid"], "typ": "at+jwt"}
    )


async def test_tokens_that_are_not_ours_are_refused(mesh: Mesh) -> None:
    ours = read_private_key(mesh.layout.secrets / "jwt_private.pem")
    async with mesh.user() as client:
        soon = int((utc_now() + timedelta(minutes=5)).timestamp())
        tokens = {
            "alg none": forged(client, None, "none"),
            "another key": forged(client, Ed25519PrivateKey.generate(), "EdDSA"),
            "shared secret": forged(client, secrets.token_hex(32), "HS256"),
            "wrong audience": forged(client, ours, "EdDSA", aud="somebody-else"),
            "wrong issuer": forged(client, ours, "EdDSA", iss="https://example.com"),
            "no signature": forged(client, ours, "EdDSA").rpartition(".")[0] + ".",
            "another user by hand": tampered(client, exp=soon),
            "no token": "x.y.z",
            "empty": "",
        }
        for name, token in tokens.items():
            async with mesh.http() as http:
                for method, path in (("GET", "/v1/me"), ("POST", RUN)):
                    body = {"json": GOOD} if method == "POST" else {}
                    headers = {"authorization": f"Bearer {token}".rstrip()}
                    answer = await http.request(method, path, headers=headers, **body)
                    assert answer.status_code == 401, (name, answer.text)
                    assert answer.json()["details"][0]["reason"] in {
                        *("TOKEN_INVALID", "TOKEN_MISSING", "TOKEN_EXPIRED"),
                    }
        await assert_untouched(client)


def tampered(client: ReelmeshClient, **changes: object) -> str:
    assert client.session is not None
    head, _, signature = client.session.access_token.split(".")
    unsigned = jwt.encode(claims_of(client) | changes, None, algorithm="none")
    return f"{head}.{unsigned.split('.')[1]}.{signature}"


async def test_an_expired_token_is_refused_and_says_so(mesh: Mesh) -> None:
    key = mesh.layout.secrets / "jwt_private.pem"

    def an_hour_ago() -> datetime:
        return utc_now() - timedelta(hours=1)

    signer = AccessTokenSigner(key, ambient=Ambient(now=an_hour_ago))
    someone = UserPrincipal(uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3), is_operator=False)
    token, _ = signer.sign(someone, lifetime=timedelta(minutes=5))
    async with mesh.http() as http:
        answer = await http.get("/v1/me", headers={"authorization": f"Bearer {token}"})

    assert_refused(answer, 401, "TOKEN_EXPIRED")


async def test_a_call_without_a_token_is_refused(mesh: Mesh) -> None:
    async with mesh.http() as http:
        assert_refused(await http.get("/v1/me"), 401, "TOKEN_MISSING")


async def test_internal_methods_are_not_reachable_from_outside(mesh: Mesh) -> None:
    grant = "/reelmesh.platform.credits.v1.CreditsService/GrantCredits"
    async with mesh.user() as client, mesh.http(client) as http:
        answer = await http.post(
            grant,
            content=b"\x00\x00\x00\x00\x00",
            headers={"content-type": "application/grpc", "te": "trailers"},
        )

        granted = answer.status_code == 200 and answer.headers.get("grpc-status", "0") == "0"
        assert not granted
        await assert_untouched(client)


async def test_a_service_token_from_outside_is_worth_nothing(mesh: Mesh) -> None:
    async with mesh.http() as http:
        answer = await http.get("/v1/me", headers={"x-reelmesh-service": "a.b.c"})

    assert_refused(answer, 401, "TOKEN_MISSING")


async def test_a_traded_refresh_token_ends_the_session(mesh: Mesh) -> None:
    async with mesh.user() as client, mesh.http() as http:
        assert client.session is not None
        first = client.session.refresh_token
        second = (await client.refresh()).refresh_token
        await client.refresh()
        answer = await http.post("/v1/auth/refresh", json={"refresh_token": first})

        assert second != first
        assert_refused(answer, 401, "REFRESH_TOKEN_REUSED")
