"""Puts the model folders of this release into the object store, where replicas read them."""

from __future__ import annotations

import asyncio
import logging

from inference.models.catalog import ModelEntry
from inference.models.manifest import (
    MANIFEST_BYTES_MAX,
    MANIFEST_NAME,
    Manifest,
    manifest_of,
    parse_manifest,
)
from meshkit.object_store import ObjectMissing, ObjectStore

logger = logging.getLogger(__name__)


class WeightsMissing(Exception):
    """The release should hold the weights of a model and does not."""


async def publish(entry: ModelEntry, store: ObjectStore) -> Manifest:
    """Upload an embedded model unless the store has it already; gives its manifest.

    The manifest goes last, so a version whose manifest is there is complete. Two regions that
    publish at once write the same bytes.

    Raises:
        WeightsMissing: the release has no files for the model.
    """
    assert entry.embedded is not None, f"{entry.name} is not embedded"
    manifest = await asyncio.to_thread(manifest_of, entry.embedded)
    if not manifest.files:
        raise WeightsMissing(f"there are no weights of {entry.name} at {entry.embedded}")
    stored = await find_manifest(entry, store)
    if stored == manifest:
        return manifest
    if stored is not None:
        logger.warning("replacing other files", extra={"model": entry.name, "at": entry.prefix})
    for file in manifest.files:
        data = await asyncio.to_thread((entry.embedded / file.path).read_bytes)
        await store.put(entry.prefix + file.path, data, content_type="application/octet-stream")
    await store.put(
        entry.prefix + MANIFEST_NAME, manifest.to_json().encode(), content_type="application/json"
    )
    logger.info("published", extra={"model": entry.name, "at": entry.prefix})
    return manifest


async def find_manifest(entry: ModelEntry, store: ObjectStore) -> Manifest | None:
    """Give the manifest of a published version, or None if it is not published."""
    try:
        data = await store.get(entry.prefix + MANIFEST_NAME, max_bytes=MANIFEST_BYTES_MAX)
    except ObjectMissing:
        return None
    return parse_manifest(data)
