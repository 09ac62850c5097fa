"""What our side of an object store does; `test_store_contract` asks the store's side."""

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


async def test_listing_crosses_pages(
    objects: S3ObjectStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshkit.object_store.LIST_PAGE_MAX", 2)
    for number in range(5):
        await objects.put(f"{prefix}{number}", b"", content_type="text/plain")
    assert [info.key async for info in objects.list(prefix)] == [f"{prefix}{n}" for n in range(5)]


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
