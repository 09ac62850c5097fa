"""What a user does with an account and with files of their own, over REST."""

from __future__ import annotations

import io

import httpx
import pytest
from PIL import Image

from deploy.account import new_credentials
from deploy.client import ApiError, ReelmeshClient
from tests.journeys.mesh import Mesh

PROMPT = "a large blue square on a yellow background"


def picture(file_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (96, 64), "red").save(buffer, file_format)
    return buffer.getvalue()


async def refused(client: ReelmeshClient, method: str, path: str) -> tuple[int, str]:
    with pytest.raises(ApiError) as refusal:
        await client.call(method, path, None if method in {"GET", "DELETE"} else {})
    return refusal.value.status, refusal.value.reason


async def test_a_user_signs_out_and_in_again_and_finds_everything(mesh: Mesh) -> None:
    email, password = new_credentials("returning")
    async with ReelmeshClient(mesh.gateway_url) as client:
        first = await client.sign_up(email, password, "Returning")
        me = await client.call("GET", "/v1/me")
        assert (me["user_id"], me["email"]) == (first.user_id, email)

        await client.call("POST", "/v1/auth/sign-out", {})
        with pytest.raises(ApiError) as refusal:
            await client.refresh()
        assert (refusal.value.status, refusal.value.reason) == (401, "SESSION_EXPIRED")
        # An access token is looked up by nobody: it stays good until it expires.
        assert await client.call("GET", "/v1/me") == me

        again = await client.sign_in(email.upper(), password)
        assert again.user_id == first.user_id
        assert again.refresh_token != first.refresh_token
        assert (await client.refresh()).refresh_token != again.refresh_token
        assert await client.call("GET", "/v1/me") == me
        assert (await client.balance())["available"] == 500

        [org] = (await client.call("GET", "/v1/orgs"))["orgs"]
        assert (org["org_id"], org["kind"], org["role"]) == (first.org_id, "personal", "owner")
        assert await client.call("GET", f"/v1/orgs/{org['org_id']}") == org


async def test_tools_and_keys_are_described(mesh: Mesh) -> None:
    async with mesh.user() as client:
        tools = {one["tool"]: one for one in (await client.call("GET", "/v1/tools"))["tools"]}
        assert {"text-to-image", "image-to-image"} <= set(tools)
        for name in tools:
            tool = await client.call("GET", f"/v1/tools/{name}")
            assert "prompt" in tool["input_schema"]["properties"]
    async with httpx.AsyncClient(base_url=mesh.gateway_url, trust_env=False) as nobody:
        keys = (await nobody.get("/.well-known/jwks.json")).json()["keys"]
    assert keys
    assert all("d" not in key for key in keys)


async def test_own_files_are_shown_used_and_deleted(mesh: Mesh) -> None:
    async with mesh.user() as client:
        made = await client.upload(picture("WEBP"), "mine.webp", "image/webp")
        path = f"/v1/assets/{made['asset_id']}"
        assert await client.call("GET", path) == made
        assert await client.download(made["asset_id"]) == picture("WEBP")

        inputs = {"prompt": PROMPT, "image": made["asset_id"], "steps": 4, "strength": 0.5}
        run = await client.run("image-to-image", inputs)
        ended = await client.finished(run["run_id"])
        assert ended["state"] == "succeeded", ended.get("error")

        await client.call("DELETE", path)
        await client.call("DELETE", path)
        for gone in (path, f"{path}/download"):
            assert await refused(client, "GET", gone) == (404, "ASSET_NOT_FOUND")
        listed = (await client.call("GET", "/v1/assets"))["assets"]
        assert [one["asset_id"] for one in listed] == [ended["outputs"][0]["asset_id"]]


async def test_a_file_that_is_no_picture_is_refused_and_named_so(mesh: Mesh) -> None:
    data = b"\x89PNG\r\n\x1a\n" + b"no picture at all"
    async with mesh.user() as client:
        with pytest.raises(ApiError) as refusal:
            await client.upload(data, "bad.png", "image/png")
        assert (refusal.value.status, refusal.value.reason) == (400, "UPLOAD_REJECTED")
        assert (await client.call("GET", "/v1/assets"))["assets"] == []
