"""Publishing, caching and verifying model folders on a real object store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from inference.models.caching import ModelCache, ModelNotPublished
from inference.models.catalog import SHAPES, Catalog, ModelEntry
from inference.models.manifest import (
    MANIFEST_NAME,
    ChecksumMismatch,
    InvalidManifest,
    manifest_of,
    parse_manifest,
)
from inference.models.publishing import WeightsMissing, publish
from inference.pipelines.loading import FAMILIES
from meshkit.object_store import S3ObjectStore


@pytest.fixture
def entry(tmp_path: Path) -> ModelEntry:
    folder = tmp_path / "release"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet" / "weights.safetensors").write_bytes(b"\x00" * 5000)
    return replace(SHAPES, name=f"model-{tmp_path.name}", embedded=folder)


def test_the_catalogue_serves_what_it_says() -> None:
    catalog = Catalog()
    assert catalog.serves("shapes", "text-to-image")
    assert catalog.serves("shapes", "image-to-image")
    assert not catalog.serves("shapes", "text-to-video")
    assert not catalog.serves("flux", "text-to-image")
    assert {entry.family for entry in catalog.entries()} <= set(FAMILIES)


async def test_a_published_model_is_fetched_whole(
    entry: ModelEntry, objects: S3ObjectStore, tmp_path: Path
) -> None:
    await publish(entry, objects)
    folder = await ModelCache(tmp_path / "cache", objects).fetch(entry)
    assert entry.embedded is not None
    assert manifest_of(folder) == manifest_of(entry.embedded)


async def test_many_fetch_at_once_and_one_folder_is_there(
    entry: ModelEntry, objects: S3ObjectStore, tmp_path: Path
) -> None:
    await publish(entry, objects)
    cache = ModelCache(tmp_path / "cache", objects)
    folders = await asyncio.gather(*(cache.fetch(entry) for _ in range(4)))
    assert len(set(folders)) == 1
    assert list(folders[0].parent.iterdir()) == [folders[0]]


async def test_publishing_twice_writes_once(entry: ModelEntry, objects: S3ObjectStore) -> None:
    await publish(entry, objects)
    before = await objects.head(entry.prefix + MANIFEST_NAME)
    await publish(entry, objects)
    assert await objects.head(entry.prefix + MANIFEST_NAME) == before


async def test_other_files_of_a_version_get_another_folder(
    entry: ModelEntry, objects: S3ObjectStore, tmp_path: Path
) -> None:
    cache = ModelCache(tmp_path / "cache", objects)
    await publish(entry, objects)
    first = await cache.fetch(entry)
    assert entry.embedded is not None
    (entry.embedded / "model_index.json").write_text('{"new": true}')
    await publish(entry, objects)
    second = await cache.fetch(entry)
    assert first != second
    assert (second / "model_index.json").read_text() == '{"new": true}'


async def test_a_damaged_file_is_refused_and_leaves_no_folder(
    entry: ModelEntry, objects: S3ObjectStore, tmp_path: Path
) -> None:
    await publish(entry, objects)
    key = entry.prefix + "unet/weights.safetensors"
    await objects.put(key, b"\x01" * 5000, content_type="application/octet-stream")
    with pytest.raises(ChecksumMismatch):
        await ModelCache(tmp_path / "cache", objects).fetch(entry)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


async def test_a_model_that_is_not_published(
    entry: ModelEntry, objects: S3ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotPublished):
        await ModelCache(tmp_path / "cache", objects).fetch(entry)


async def test_a_release_without_weights(
    entry: ModelEntry, objects: S3ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(WeightsMissing):
        await publish(replace(entry, embedded=tmp_path / "nothing"), objects)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"files": []}',
        b'{"files": [{"path": "../x", "size_bytes": 1, "sha256": "0"}]}',
        b'{"files": [{"path": "/x", "size_bytes": 1, "sha256": "0"}]}',
        b'{"files": [{"path": "a\\\\x", "size_bytes": 1, "sha256": "0"}]}',
        b'{"files": [{"path": "x"}]}',
    ],
)
def test_bad_manifests_are_refused(text: bytes) -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(text)
