"""Links that open an asset to whoever holds them, until they are over."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from reelmesh.platform.assets.v1 import assets_service_pb2 as assets_pb
from reelmesh.platform.assets.v1 import share_links_service_pb2 as pb
from reelmesh.platform.assets.v1 import trash_service_pb2 as trash_pb
from reelmesh.platform.assets.v1.share_links_service_pb2_grpc import ShareLinksServiceStub

from meshkit.ids import parse_id
from meshkit.peppers import Peppers
from meshkit.postgres import Database
from meshkit.testing.servers import ServedMesh
from platform_svc.assets.share import LINKS_MAX, link_id_of, token_of
from platform_svc.assets.tables import ShareLinkRow
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.refusals import read_refusal, refusal_of

PEPPERS = Peppers((b"the pepper of these tests, and long enough",))
OTHER = Peppers((b"another pepper, which is long enough as well",))


@pytest.fixture
async def anyone(mesh: ServedMesh) -> AsyncIterator[ShareLinksServiceStub]:
    async with mesh.as_anyone(ShareLinksServiceStub) as stub:
        yield stub


@pytest.fixture
async def asset(uploader: Uploader, png: bytes) -> assets_pb.Asset:
    return await uploader.upload(png, filename="mine.png")


async def share(uploader: Uploader, asset: assets_pb.Asset, **options: Any):
    key = options.pop("key", None)
    request = pb.CreateShareLinkRequest(asset_id=asset.asset_id, **options)
    metadata = (("idempotency-key", key),) if key else ()
    return await uploader.shares.CreateShareLink(request, metadata=metadata)


def look(anyone: Any, token: str):
    return anyone.GetSharedAsset(pb.GetSharedAssetRequest(token=token))


def download(anyone: Any, token: str):
    return anyone.DownloadSharedAsset(pb.DownloadSharedAssetRequest(token=token))


async def links(uploader: Uploader, asset: assets_pb.Asset) -> list[pb.ShareLink]:
    request = pb.ListShareLinksRequest(asset_id=asset.asset_id)
    return list((await uploader.shares.ListShareLinks(request)).share_links)


def revoke(uploader: Uploader, link: pb.ShareLink):
    request = pb.RevokeShareLinkRequest(asset_id=link.asset_id, share_link_id=link.share_link_id)
    return uploader.shares.RevokeShareLink(request)


async def age(database: Database, link: pb.ShareLink, seconds: int) -> None:
    """Make a link older than it is."""
    async with database.sessions.begin() as session:
        older = ShareLinkRow.expires_at - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        link_id = parse_id("shl", link.share_link_id, field="")
        mine = ShareLinkRow.id == link_id
        await session.execute(sa.update(ShareLinkRow).where(mine).values(expires_at=older))


async def test_anybody_with_the_token_sees_and_downloads(
    uploader: Uploader, anyone, http: httpx.AsyncClient, asset: assets_pb.Asset, png: bytes
) -> None:
    made = await share(uploader, asset)
    assert made.path == f"/v1/shared?token={made.token}"
    assert made.share_link.expires_at.seconds - made.share_link.created_at.seconds == 7 * 86400
    seen = await look(anyone, made.token)
    assert (seen.filename, seen.width, seen.size_bytes) == ("mine.png", 8, len(png))
    assert (await http.get(seen.previews[0].url)).status_code == 200
    call = download(anyone, made.token)
    reply = await call
    metadata = dict(await call.initial_metadata())
    assert (metadata["x-http-code"], metadata["location"]) == ("302", reply.url)
    answer = await http.get(reply.url)
    assert answer.content == png
    assert 'filename="mine.png"' in answer.headers["content-disposition"]
    [link] = await links(uploader, asset)
    assert (link.state, link.downloads_count) == ("active", 1)
    assert made.token not in str(link)


async def test_a_limit_on_downloads_is_exact_under_races(
    uploader: Uploader, anyone, asset: assets_pb.Asset
) -> None:
    made = await share(uploader, asset, downloads_max=3)
    replies = await asyncio.gather(
        *(download(anyone, made.token) for _ in range(8)), return_exceptions=True
    )
    refused = [read_refusal(reply).reason for reply in replies if isinstance(reply, Exception)]
    assert refused == ["SHARE_LINK_USED_UP"] * 5
    [link] = await links(uploader, asset)
    assert (link.state, link.downloads_count, link.downloads_max) == ("used_up", 3, 3)
    assert (await look(anyone, made.token)).filename == "mine.png"


async def test_a_revoked_link_opens_nothing(
    uploader: Uploader, anyone, asset: assets_pb.Asset
) -> None:
    made, other = await share(uploader, asset), await share(uploader, asset)
    for _ in range(2):
        assert (await revoke(uploader, made.share_link)).state == "revoked"
    for call in (look(anyone, made.token), download(anyone, made.token)):
        refusal = await refusal_of(call)
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "SHARE_LINK_NOT_FOUND",
        )
    await download(anyone, other.token)
    assert [link.state for link in await links(uploader, asset)] == ["active", "revoked"]


async def test_a_link_ends_by_itself(
    uploader: Uploader, anyone, database: Database, asset: assets_pb.Asset
) -> None:
    made = await share(uploader, asset, expires_in_seconds=3600)
    await age(database, made.share_link, 3590)
    await download(anyone, made.token)
    await age(database, made.share_link, 10)
    for call in (look(anyone, made.token), download(anyone, made.token)):
        assert (await refusal_of(call)).reason == "SHARE_LINK_NOT_FOUND"
    assert [link.state for link in await links(uploader, asset)] == ["expired"]


async def test_a_link_sleeps_while_its_asset_lies_in_the_trash(
    uploader: Uploader, anyone, asset: assets_pb.Asset
) -> None:
    made = await share(uploader, asset)
    await uploader.delete(asset)
    for call in (look(anyone, made.token), download(anyone, made.token)):
        assert (await refusal_of(call)).reason == "SHARE_LINK_NOT_FOUND"
    await uploader.trash.RestoreAsset(trash_pb.RestoreAssetRequest(asset_id=asset.asset_id))
    await download(anyone, made.token)


async def test_other_texts_open_nothing(anyone) -> None:
    for token in ("rms_", "rms_AAAA", "x", "rms_" + "A" * 54, "rms_é"):
        assert (await refusal_of(look(anyone, token))).reason == "SHARE_LINK_NOT_FOUND"


async def test_one_key_makes_one_link_and_no_table_has_its_token(
    uploader: Uploader, database: Database, asset: assets_pb.Asset
) -> None:
    made = [await share(uploader, asset, key="k") for _ in range(2)]
    assert made[0] == made[1]
    assert len(await links(uploader, asset)) == 1
    secret = base64.urlsafe_b64decode(made[0].token.removeprefix("rms_"))[16:]
    async with database.sessions() as session:
        for table in ("share_link", "idempotency_keys"):
            rows = await session.scalars(sa.text(f"SELECT t::text FROM assets.{table} t"))
            text = "".join(rows)
            assert made[0].token not in text
            assert secret.hex() not in text


async def test_an_asset_has_so_many_links_at_most(
    uploader: Uploader, asset: assets_pb.Asset
) -> None:
    await asyncio.gather(*(share(uploader, asset) for _ in range(LINKS_MAX)))
    refusal = await refusal_of(share(uploader, asset))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "TOO_MANY_SHARE_LINKS",
    )


async def test_only_what_is_there_can_be_shared(
    uploader: Uploader, stranger: Uploader, asset: assets_pb.Asset, png: bytes
) -> None:
    pending = (await uploader.create(png)).asset
    assert (await refusal_of(share(uploader, pending))).reason == "ASSET_NOT_READY"
    assert (await refusal_of(share(stranger, asset))).reason == "ASSET_NOT_FOUND"
    assert (await refusal_of(links(stranger, asset))).reason == "ASSET_NOT_FOUND"
    made = await share(uploader, asset)
    refusal = await refusal_of(revoke(stranger, made.share_link))
    assert refusal.reason == "SHARE_LINK_NOT_FOUND"


async def test_odd_wishes_are_refused(uploader: Uploader, asset: assets_pb.Asset) -> None:
    for seconds in (59, 7776001):
        refusal = await refusal_of(share(uploader, asset, expires_in_seconds=seconds))
        assert refusal.reason == "INVALID_REQUEST"


@given(st.uuids(), st.integers(min_value=0, max_value=55), st.sampled_from("Ax_0"))
def test_no_changed_token_opens_anything(link_id: uuid.UUID, place: int, other: str) -> None:
    token = token_of(PEPPERS, link_id)
    assert link_id_of(PEPPERS, token) == link_id
    assert link_id_of(OTHER, token) is None
    assert link_id_of(Peppers((*OTHER.secrets, *PEPPERS.secrets)), token) == link_id
    place += len("rms_")
    changed = token[:place] + other + token[place + 1 :]
    if changed != token:
        assert link_id_of(PEPPERS, changed) is None
