"""Videos, thumbnails and posters, and what hostile files try."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from PIL import Image
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb

from meshkit.object_store import S3ObjectStore
from meshkit.postgres import Database
from platform_svc.assets.asset import Dimensions, Flaw
from platform_svc.assets.media_probe import DURATION_MS_MAX
from platform_svc.assets.probing import Probed, probe
from platform_svc.assets.tables import AssetRow, PreviewRow
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.assets.factories import picture, video
from tests.platform_svc.assets.test_imports import import_request

PIXELS_MAX = 1_000_000


async def opened(http: httpx.AsyncClient, preview: pb.Preview) -> Image.Image:
    answer = await http.get(preview.url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    found = Image.open(io.BytesIO(answer.content), formats=["WEBP"])
    assert found.size == (preview.width, preview.height)
    return found


async def probed(tmp_path: Path, data: bytes, content_type: str) -> Probed | Flaw:
    file = tmp_path / "file"
    file.write_bytes(data)
    return await probe(file, content_type, pixels_max=PIXELS_MAX)


def is_red(found: Image.Image) -> bool:
    red, green, blue = found.convert("RGB").getpixel((found.width // 2, found.height // 2))
    return red > 200 and max(green, blue) < 60


@pytest.mark.parametrize(
    ("size", "expected"), [((600, 300), (256, 128)), ((8, 6), (8, 6)), ((1, 900), (1, 256))]
)
async def test_a_picture_has_a_thumbnail(
    uploader: Uploader, http: httpx.AsyncClient, size, expected
) -> None:
    asset = await uploader.upload(picture(width=size[0], height=size[1]))
    [thumbnail] = asset.previews
    assert thumbnail.kind == "thumbnail"
    found = await opened(http, thumbnail)
    assert found.size == expected
    assert is_red(found)


async def test_a_result_has_a_thumbnail_too(
    business, http: httpx.AsyncClient, objects: S3ObjectStore, png: bytes
) -> None:
    request = import_request(png)
    await objects.put(request.source_key, png, content_type="image/png")
    [thumbnail] = (await business.ImportAsset(request)).previews
    await opened(http, thumbnail)


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "libx264"), ("webm", "libvpx-vp9")])
async def test_a_video_has_a_poster_and_a_thumbnail(
    uploader: Uploader, http: httpx.AsyncClient, kind: str, codec: str
) -> None:
    # The first of its frames is black, as in many videos; a tenth of it is not.
    colors = ("black", *["red"] * 9)
    data = video(kind, codec=codec, width=320, height=200, seconds=5, colors=colors)
    asset = await uploader.upload(data, content_type=f"video/{kind}")
    assert (asset.width, asset.height, asset.duration_ms) == (320, 200, 5000)
    poster, thumbnail = sorted(asset.previews, key=lambda preview: preview.kind)
    assert (poster.kind, poster.width, poster.height) == ("poster", 320, 200)
    assert (thumbnail.kind, thumbnail.width, thumbnail.height) == ("thumbnail", 256, 160)
    assert is_red(await opened(http, poster))
    listed = (await uploader.stub.ListAssets(pb.ListAssetsRequest())).assets
    assert list(listed) == [asset]


async def test_previews_keep_nothing_but_pixels(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # Held sideways (Exif 2.32, tag Orientation).
    exif[0x010E] = "where it was taken"
    Image.new("RGB", (40, 20)).save(buffer, "JPEG", exif=exif, icc_profile=b"profile")
    found = await probed(tmp_path, buffer.getvalue(), "image/jpeg")
    assert isinstance(found, Probed)
    [thumbnail] = found.pictures
    shown = Image.open(io.BytesIO(thumbnail.data))
    assert shown.size == (20, 40)
    assert not shown.getexif()
    assert b"taken" not in thumbnail.data
    assert b"profile" not in thumbnail.data


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
async def test_pictures_of_every_kind_have_thumbnails(tmp_path: Path, mode: str) -> None:
    buffer = io.BytesIO()
    kind = "JPEG" if mode == "CMYK" else "PNG"
    Image.new(mode, (300, 300)).save(buffer, kind)
    found = await probed(tmp_path, buffer.getvalue(), f"image/{kind.lower()}")
    assert isinstance(found, Probed)
    assert found.dimensions == Dimensions(300, 300)
    assert len(found.pictures) == 1


MP4 = video()
HOSTILE = {
    "playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "video/mp4", "not_of_content_type"),
    "playlist in disguise": (
        MP4[:12] + b"\n#EXTM3U\nfile:///etc/passwd\n",
        "video/mp4",
        "not_decodable",
    ),
    "other container": (MP4, "video/webm", "not_of_content_type"),
    "cut off": (MP4[:200], "video/mp4", "not_decodable"),
    "damaged": (MP4[:40] + bytes(len(MP4) - 40), "video/mp4", "not_decodable"),
    "other codec": (video(codec="mpeg4"), "video/mp4", "unsupported_codec"),
    "too wide": (video(width=1024, height=1000, seconds=1), "video/mp4", "too_many_pixels"),
    "too long": (
        video(seconds=DURATION_MS_MAX // 1000 + 1, width=16, height=16),
        "video/mp4",
        "too_long",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_no_video_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    data, content_type, flaw = HOSTILE[name]
    assert await probed(tmp_path, data, content_type) == Flaw(flaw)


async def test_previews_of_older_assets_are_made_by_the_sweeper(
    uploader: Uploader, http: httpx.AsyncClient, database: Database, later, png: bytes
) -> None:
    asset = await uploader.upload(png)
    async with database.sessions.begin() as session:
        await session.execute(sa.delete(PreviewRow))
        await session.execute(sa.update(AssetRow).values(previewed_at=None))
    request = pb.GetAssetRequest(asset_id=asset.asset_id)
    assert not (await uploader.stub.GetAsset(request)).previews
    sweeper = later(timedelta(0))
    assert await sweeper.make_previews() == 1
    assert await sweeper.make_previews() == 0
    [thumbnail] = (await uploader.stub.GetAsset(request)).previews
    await opened(http, thumbnail)
