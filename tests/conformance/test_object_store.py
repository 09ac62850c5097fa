"""What every object store must do; run on SeaweedFS here and on other stores by hand."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from meshkit.clock import uuid7
from meshkit.object_store import (
    ObjectMissing,
    ObjectTooLarge,
    S3ObjectStore,
    S3Settings,
    StoreUnavailable,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
FIVE_MINUTES = timedelta(minutes=5)


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"tests/{uuid7().hex}/"


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def presign(objects: S3ObjectStore, key: str, data: bytes = PNG):
    return await objects.presign_put(
        key,
        content_type="image/png",
        size_bytes=len(data),
        sha256=sha256(data),
        expires=FIVE_MINUTES,
    )


async def test_what_is_put_can_be_read_and_described(objects: S3ObjectStore, prefix: str) -> None:
    key = prefix + "a.png"
    await objects.put(key, PNG, content_type="image/png")
    assert await objects.get(key, max_bytes=len(PNG)) == PNG
    info = await objects.head(key)
    assert info is not None
    assert (info.key, info.size_bytes, info.content_type) == (key, len(PNG), "image/png")
    assert info.modified_at.tzinfo is not None


async def test_a_second_put_replaces_the_first(objects: S3ObjectStore, prefix: str) -> None:
    await objects.put(prefix + "a", b"first", content_type="text/plain")
    await objects.put(prefix + "a", b"second", content_type="text/css")
    assert await objects.get(prefix + "a", max_bytes=100) == b"second"
    info = await objects.head(prefix + "a")
    assert info is not None
    assert info.content_type == "text/css"


async def test_empty_objects_are_objects(objects: S3ObjectStore, prefix: str) -> None:
    await objects.put(prefix + "empty", b"", content_type="text/plain")
    assert await objects.get(prefix + "empty", max_bytes=0) == b""


async def test_missing_objects_are_reported(
    objects: S3ObjectStore, prefix: str, tmp_path: Path
) -> None:
    assert await objects.head(prefix + "none") is None
    with pytest.raises(ObjectMissing):
        await objects.get(prefix + "none", max_bytes=1)
    with pytest.raises(ObjectMissing):
        await objects.download(prefix + "none", tmp_path / "none", max_bytes=1)
    await objects.delete(prefix + "none")


async def test_reading_stops_at_the_limit(
    objects: S3ObjectStore, prefix: str, tmp_path: Path
) -> None:
    await objects.put(prefix + "a", b"12345", content_type="text/plain")
    assert await objects.get(prefix + "a", max_bytes=5) == b"12345"
    with pytest.raises(ObjectTooLarge):
        await objects.get(prefix + "a", max_bytes=4)
    with pytest.raises(ObjectTooLarge):
        await objects.download(prefix + "a", tmp_path / "a", max_bytes=4)


async def test_downloads_are_hashed_as_they_come(
    objects: S3ObjectStore, prefix: str, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 40_000  # Ten chunks, several blocks of the store.
    await objects.put(prefix + "big", data, content_type="application/octet-stream")
    digest = await objects.download(prefix + "big", tmp_path / "big", max_bytes=len(data))
    assert (digest.size_bytes, digest.sha256) == (len(data), sha256(data))
    assert (tmp_path / "big").read_bytes() == data


async def test_listing_gives_the_prefix_in_order(objects: S3ObjectStore, prefix: str) -> None:
    names = [f"{number:03d}/x" for number in range(7)]
    for name in reversed(names):
        await objects.put(prefix + name, b"x", content_type="text/plain")
    listed = [info.key async for info in objects.list(prefix)]
    assert listed == [prefix + name for name in names]
    assert [info.key async for info in objects.list(prefix + "003")] == [prefix + "003/x"]
    assert [info.key async for info in objects.list(prefix + "none/")] == []


async def test_listing_crosses_pages(
    objects: S3ObjectStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshkit.object_store.LIST_PAGE_MAX", 2)
    for number in range(5):
        await objects.put(f"{prefix}{number}", b"", content_type="text/plain")
    assert [info.key async for info in objects.list(prefix)] == [f"{prefix}{n}" for n in range(5)]


async def test_a_presigned_put_takes_exactly_the_promised_bytes(
    objects: S3ObjectStore, client: httpx.AsyncClient, prefix: str
) -> None:
    upload = await presign(objects, prefix + "a.png")
    answer = await client.put(upload.url, content=PNG, headers=upload.headers)
    assert answer.status_code == 200
    info = await objects.head(prefix + "a.png")
    assert info is not None
    assert (info.size_bytes, info.content_type) == (len(PNG), "image/png")


@pytest.mark.parametrize(
    "body", [PNG + b"\0", PNG[:-1], b""], ids=["too long", "too short", "empty"]
)
async def test_a_presigned_put_refuses_another_length(
    objects: S3ObjectStore, client: httpx.AsyncClient, prefix: str, body: bytes
) -> None:
    upload = await presign(objects, prefix + "a.png")
    answer = await client.put(upload.url, content=body, headers=upload.headers)
    assert answer.status_code in {400, 403}
    assert await objects.head(prefix + "a.png") is None


async def test_a_presigned_put_refuses_other_bytes_of_the_same_length(
    objects: S3ObjectStore, client: httpx.AsyncClient, prefix: str
) -> None:
    upload = await presign(objects, prefix + "a.png")
    evil = PNG[:-1] + b"!"
    answer = await client.put(upload.url, content=evil, headers=upload.headers)
    assert answer.status_code == 400
    own_checksum = (await presign(objects, prefix + "b.png", evil)).headers
    answer = await client.put(upload.url, content=evil, headers=own_checksum)
    assert answer.status_code == 403
    assert await objects.head(prefix + "a.png") is None


async def test_a_presigned_put_refuses_another_type_or_none(
    objects: S3ObjectStore, client: httpx.AsyncClient, prefix: str
) -> None:
    upload = await presign(objects, prefix + "a.png")
    for changed in ({"content-type": "text/html"}, None):
        headers = {**upload.headers, **changed} if changed else {}
        answer = await client.put(upload.url, content=PNG, headers=headers)
        assert answer.status_code == 403
    assert await objects.head(prefix + "a.png") is None


async def test_a_presigned_put_is_for_one_key_and_one_verb(
    objects: S3ObjectStore, client: httpx.AsyncClient, prefix: str
) -> None:
    upload = await presign(objects, prefix + "a.png")
    other = upload.url.replace("a.png", "b.png")
    assert (await client.put(other, content=PNG, headers=upload.headers)).status_code == 403
    assert (await client.get(upload.url)).status_code == 403
    assert (await client.delete(upload.url)).status_code == 403


async def test_signatures_end(
    objects: S3ObjectStore, client: httpx.AsyncClient, prefix: str
) -> None:
    await objects.put(prefix + "a", b"x", content_type="text/plain")
    url = await objects.presign_get(
        prefix + "a", filename="a", content_type="text/plain", expires=FIVE_MINUTES
    )
    forged = url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000")
    assert forged != url
    assert (await client.get(forged)).status_code == 403


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("cat.png", "attachment; filename=\"cat.png\"; filename*=UTF-8''cat.png"),
        ('a"b\n.png', "attachment; filename=\"a_b_.png\"; filename*=UTF-8''a%22b%0A.png"),
        ("ü.png", "attachment; filename=\"_.png\"; filename*=UTF-8''%C3%BC.png"),
    ],
)
async def test_a_presigned_get_names_the_file(
    objects: S3ObjectStore, client: httpx.AsyncClient, prefix: str, filename: str, expected: str
) -> None:
    key = prefix + "a"
    await objects.put(key, PNG, content_type="application/octet-stream")
    url = await objects.presign_get(
        key, filename=filename, content_type="image/png", expires=FIVE_MINUTES
    )
    answer = await client.get(url)
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == expected


async def test_a_presigned_get_may_be_shown_in_place(
    objects: S3ObjectStore, client: httpx.AsyncClient, prefix: str
) -> None:
    await objects.put(prefix + "a", PNG, content_type="image/png")
    url = await objects.presign_get(
        prefix + "a", filename="a", content_type="image/png", expires=FIVE_MINUTES, inline=True
    )
    assert (await client.get(url)).headers["content-disposition"].startswith("inline;")


async def test_without_a_signature_nothing_is_open(
    objects: S3ObjectStore, s3_settings: S3Settings, client: httpx.AsyncClient, prefix: str
) -> None:
    await objects.put(prefix + "a", b"x", content_type="text/plain")
    address = f"{s3_settings.endpoint}/{s3_settings.bucket}/{prefix}a"
    assert (await client.get(address)).status_code == 403
    assert (await client.put(address, content=b"y")).status_code == 403


async def test_making_the_bucket_twice_is_harmless(objects: S3ObjectStore) -> None:
    await objects.ensure_bucket()
    await objects.ensure_bucket()


async def test_a_store_that_is_away_is_reported_as_unavailable() -> None:
    settings = S3Settings("http://127.0.0.1:1", "us-east-1", "b", "key", "secret")
    async with S3ObjectStore(settings) as away:
        with pytest.raises(StoreUnavailable):
            await away.put("a", b"x", content_type="text/plain")


async def test_urls_are_signed_for_the_public_address(s3_settings: S3Settings) -> None:
    settings = S3Settings(
        s3_settings.endpoint, "us-east-1", "b", "key", "secret", "https://files.example"
    )
    async with S3ObjectStore(settings) as store:
        url = await store.presign_get("a", filename="a", content_type="a/b", expires=FIVE_MINUTES)
    assert url.startswith("https://files.example/b/a?")
