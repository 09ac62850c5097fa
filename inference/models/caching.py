"""Brings a model version onto the local disk: downloaded once, verified, visible only whole."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from pathlib import Path

from inference.models.catalog import ModelEntry
from inference.models.manifest import ChecksumMismatch, FileEntry, Manifest
from inference.models.publishing import find_manifest
from meshkit.object_store import ObjectStore

logger = logging.getLogger(__name__)


class ModelNotPublished(Exception):
    """The object store has no complete version of the model."""


class ModelCache:
    """Model folders under one root, named by their contents; shared by processes of a machine."""

    def __init__(self, root: Path, store: ObjectStore) -> None:
        self._root = root
        self._store = store

    async def fetch(self, entry: ModelEntry) -> Path:
        """Give the local folder of a model version, after downloading it if need be.

        Raises:
            ModelNotPublished: the store has no manifest of the version.
            ChecksumMismatch: a stored file is not what the manifest says.
        """
        manifest = await find_manifest(entry, self._store)
        if manifest is None:
            raise ModelNotPublished(f"{entry.prefix} is not published")
        folder = self._root / entry.name / f"{entry.version}-{manifest.digest[:16]}"
        if not await asyncio.to_thread(folder.is_dir):
            await self._download(entry, manifest, folder)
        return folder

    async def _download(self, entry: ModelEntry, manifest: Manifest, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, because only a rename within one file system is atomic.
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
        try:
            for file in manifest.files:
                await self._download_file(entry, file, partial)
            await asyncio.to_thread(_rename, partial, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
        logger.info("cached", extra={"model": entry.name, "folder": str(folder)})

    async def _download_file(self, entry: ModelEntry, file: FileEntry, folder: Path) -> None:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = await self._store.download(
            entry.prefix + file.path, target, max_bytes=file.size_bytes
        )
        if (digest.size_bytes, digest.sha256) != (file.size_bytes, file.sha256):
            raise ChecksumMismatch(f"{entry.prefix}{file.path} is not what its manifest says")


def _rename(partial: Path, folder: Path) -> None:
    try:
        partial.rename(folder)
    except OSError:
        # Another process was faster; its folder holds the same verified files.
        if not folder.is_dir():
            raise
