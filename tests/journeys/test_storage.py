"""Files of an organization on the running platform: in parts, shared, deleted, counted."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import httpx
import pytest
from PIL import Image

from deploy.account import sign_in_as_operator
from deploy.client import ApiError, ReelmeshClient
from deploy.tour.clip import clip
from deploy.uploading import begin_parts, missing_parts, send_parts
from tests.journeys.mesh import Mesh

PART_BYTES = 16 << 20


def picture(color: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (400, 200), color).save(buffer, "PNG")
    return buffer.getvalue()


async def refused(call: Awaitable[object], status: int, reason: str) -> None:
    with pytest.raises(ApiError) as refusal:
        await call
    assert (refusal.value.status, refusal.value.reason) == (status, reason)


@asynccontextmanager
async def operator_of(mesh: Mesh) -> AsyncIterator[ReelmeshClient]:
    async with ReelmeshClient(mesh.gateway_url) as client:
        await sign_in_as_operator(client, mesh.layout)
        yield client


async def used(client: ReelmeshClient) -> tuple[int, int]:
    """Give the used bytes and those of the trash."""
    assert client.session is not None
    room = await client.call("GET", f"/v1/orgs/{client.session.org_id}/storage")
    return int(room["used_bytes"]), int(room["trashed_bytes"])


async def test_a_video_comes_in_parts_and_goes_on_after_a_break(mesh: Mesh) -> None:
    data = clip(PART_BYTES + 1000)
    async with mesh.user() as client, httpx.AsyncClient(trust_env=False) as store:
        begun = await begin_parts(client, data, "clip.mp4", "video/mp4")
        asset_id = begun["asset"]["asset_id"]
        complete = f"/v1/assets/{asset_id}:complete"
        await send_parts(client, begun, data, [2])
        await refused(client.call("POST", complete, {}), 400, "UPLOAD_INCOMPLETE")
        assert await missing_parts(client, asset_id) == [1]
        await send_parts(client, begun, data, [1])

        asset = await client.call("POST", complete, {})
        assert (asset["state"], asset["width"], asset["duration_ms"]) == ("ready", 320, 2000)
        assert await client.download(asset_id) == data
        assert sorted(preview["kind"] for preview in asset["previews"]) == ["poster", "thumbnail"]
        for preview in asset["previews"]:
            shown = Image.open(io.BytesIO((await store.get(preview["url"])).content))
            assert shown.size == (preview["width"], preview["height"])
        # As a player does that jumps into the video.
        location = (await client.call("GET", f"/v1/assets/{asset_id}/download"))["url"]
        piece = await store.get(location, headers={"range": "bytes=10-19"})
        assert (piece.status_code, piece.content) == (206, data[10:20])

        given_up = (await begin_parts(client, data, "b.mp4", "video/mp4"))["asset"]["asset_id"]
        assert (await used(client))[0] == 2 * len(data)
        await client.call("POST", f"/v1/assets/{given_up}:abort", {})
        assert (await used(client))[0] == len(data)


async def test_what_was_deleted_comes_back_until_it_is_purged(mesh: Mesh) -> None:
    async with mesh.user() as client:
        made = await client.upload(picture("teal"), "a.png", "image/png")
        path = f"/v1/assets/{made['asset_id']}"
        await client.call("DELETE", path)
        await refused(client.call("GET", path), 404, "ASSET_NOT_FOUND")
        [trashed] = (await client.call("GET", "/v1/trash"))["assets"]
        assert (trashed["asset_id"], trashed["state"]) == (made["asset_id"], "trashed")
        assert await used(client) == (made["size_bytes"], made["size_bytes"])
        assert await client.call("POST", f"{path}:restore", {}) == made

        await refused(client.call("POST", f"{path}:purge", {}), 400, "ASSET_NOT_IN_TRASH")
        await client.call("DELETE", path)
        assert await client.call("POST", "/v1/trash:empty", {}) == {"purged_count": 1}
        await refused(client.call("POST", f"{path}:restore", {}), 404, "ASSET_NOT_FOUND")
        assert await used(client) == (0, 0)


async def test_a_link_opens_one_file_to_anybody_for_a_while(mesh: Mesh) -> None:
    data = picture("plum")
    async with mesh.user() as client, mesh.http() as nobody:
        made = await client.upload(data, "mine.png", "image/png")
        links = f"/v1/assets/{made['asset_id']}/share-links"
        shared = await client.call("POST", links, {"downloads_max": 1, "expires_in_seconds": 600})
        download = shared["path"].replace("/shared", "/shared/download")

        seen = await nobody.get(shared["path"])
        assert (seen.json()["filename"], seen.json()["width"]) == ("mine.png", 400)
        assert "asset_id" not in seen.json()
        found = await nobody.get(download, follow_redirects=True)
        assert (found.history[0].status_code, found.content) == (302, data)
        again = await nobody.get(download)
        assert again.json()["details"][0]["reason"] == "SHARE_LINK_USED_UP"
        [listed] = (await client.call("GET", links))["share_links"]
        assert (listed["state"], listed["downloads_count"]) == ("used_up", 1)

        other = await client.call("POST", links, {})
        await client.call("DELETE", f"{links}/{other['share_link']['share_link_id']}")
        gone = await nobody.get(other["path"])
        assert (gone.status_code, gone.json()["details"][0]["reason"]) == (
            404,
            "SHARE_LINK_NOT_FOUND",
        )
        for log in mesh.layout.logs.glob("*.log"):
            text = log.read_text(errors="replace")
            assert shared["token"] not in text, log.name
            assert other["token"] not in text, log.name


async def test_an_operator_bounds_an_organization_and_compares_the_store(mesh: Mesh) -> None:
    async with mesh.user() as client, operator_of(mesh) as operator:
        assert client.session is not None
        await client.upload(picture("gold"), "a.png", "image/png")
        taken = (await used(client))[0]
        quota = f"/v1/ops/orgs/{client.session.org_id}/storage-quota"
        bounds = {"bytes_max": str(taken + 10)}
        await refused(client.call("PUT", quota, bounds), 403, "CALLER_NOT_ALLOWED")
        assert (await operator.call("PUT", quota, bounds))["bytes_max"] == str(taken + 10)
        upload = client.upload(picture("gold"), "b.png", "image/png")
        await refused(upload, 429, "STORAGE_QUOTA_EXCEEDED")
        await operator.call("PUT", quota, {})
        await client.upload(picture("gold"), "b.png", "image/png")

        report = await operator.call("POST", "/v1/ops/storage:reconcile", {})
        assert int(report["objects_count"]) >= 4
        assert report["removal_withheld"] is False
        assert (await operator.call("GET", "/v1/ops/storage/orphans"))["orphans"] == []
    assert await mesh.offenders() == {}


async def test_the_store_of_the_platform_does_what_is_asked(mesh: Mesh) -> None:
    done = await asyncio.to_thread(mesh.reelmesh, "store", "check", check=False)
    assert done.returncode == 0, done.stdout
    assert "things that are asked" in done.stdout
