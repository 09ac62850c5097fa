"""Finds out whether stored bytes are what was announced, without trusting them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshkit.object_store import ObjectStore, ObjectTooLarge
from platform_svc.assets.asset import PIXELS_MAX, Contents, Flaw
from platform_svc.assets.probing import Probed, probe

# Each takes up to a gigabyte of memory, half a one of disk, and a core for a moment.
CONCURRENCY: Final = 2


@dataclass(frozen=True, slots=True)
class Verified:
    """Bytes that are what was announced, in a file that lives as long as the verification."""

    file: Path
    probed: Probed


class Verifier:
    """Downloads objects and examines them, a few at a time."""

    def __init__(self, objects: ObjectStore, *, pixels_max: int = PIXELS_MAX) -> None:
        self._objects = objects
        self._pixels_max = pixels_max
        self._slots = asyncio.Semaphore(CONCURRENCY)

    @asynccontextmanager
    async def verify(self, key: str, announced: Contents) -> AsyncIterator[Verified | Flaw]:
        """Give the verified bytes of the object, or the first flaw that was found.

        Raises:
            ObjectMissing: there is no such object.
            Unavailable: there is no verdict for now.
        """
        async with self._slots:
            with tempfile.TemporaryDirectory(prefix="asset-") as folder:
                yield await self._examine(key, announced, Path(folder) / "bytes")

    async def _examine(self, key: str, announced: Contents, file: Path) -> Verified | Flaw:
        try:
            digest = await self._objects.download(key, file, max_bytes=announced.size_bytes)
        except ObjectTooLarge:
            return Flaw.SIZE_DIFFERS
        if digest.size_bytes != announced.size_bytes:
            return Flaw.SIZE_DIFFERS
        if digest.sha256 != announced.sha256:
            return Flaw.SHA256_DIFFERS
        probed = await probe(file, announced.content_type, pixels_max=self._pixels_max)
        return probed if isinstance(probed, Flaw) else Verified(file, probed)
