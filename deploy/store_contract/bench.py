"""What a check has at hand: a store, a bare HTTP client, and keys of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx

from meshkit.multipart import MultipartUploads
from meshkit.object_store import PresignedPut, S3ObjectStore, S3Settings

FIVE_MINUTES: Final = timedelta(minutes=5)
PNG: Final = "image/png"
PICTURE: Final = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
OK: Final = 200
PARTIAL: Final = 206
FORBIDDEN: Final = 403
REFUSED: Final = frozenset({400, 403, 411, 412})


class Broken(Exception):
    """The store does not do what is asked of it."""


def expect(holds: object, otherwise: str) -> None:
    """Demand that something holds.

    Raises:
        Broken: it does not; `otherwise` says what was seen.
    """
    if not holds:
        raise Broken(otherwise)


@dataclass(frozen=True)
class Bench:
    """One check's place in the store; `prefix` ends with a slash and is nobody else's."""

    store: S3ObjectStore
    settings: S3Settings
    http: httpx.AsyncClient
    prefix: str

    @property
    def multiparts(self) -> MultipartUploads:
        """Give the uploads in parts."""
        return MultipartUploads(self.store)

    def key(self, name: str) -> str:
        """Give a key of this check."""
        return self.prefix + name

    async def write(self, name: str, data: bytes, content_type: str = PNG) -> str:
        """Write an object and give its key."""
        await self.store.put(self.key(name), data, content_type=content_type)
        return self.key(name)

    async def expect_bytes(self, key: str, data: bytes) -> None:
        """Demand that an object has these bytes."""
        found = await self.store.get(key, max_bytes=len(data) + 1)
        expect(found == data, f"{len(found)} bytes came back that are not the {len(data)} written")

    async def expect_nothing(self, key: str) -> None:
        """Demand that there is no such object."""
        expect(await self.store.head(key) is None, "the refused bytes were kept")

    async def presign(self, name: str, data: bytes = PICTURE) -> PresignedPut:
        """Sign an upload of these bytes."""
        return await self.store.presign_put(
            self.key(name),
            content_type=PNG,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            expires=FIVE_MINUTES,
        )

    async def send(self, put: PresignedPut, data: bytes, **changed: str) -> int:
        """Make an upload, with headers changed, and give its HTTP status."""
        headers = {
            **put.headers,
            **{name.replace("_", "-"): text for name, text in changed.items()},
        }
        return (await self.http.put(put.url, content=data, headers=headers)).status_code

    async def fetch(
        self, name: str, headers: Mapping[str, str] | None = None, *, inline: bool = False
    ) -> httpx.Response:
        """Download by a signed URL under the file name `cät.png`."""
        url = await self.store.presign_get(
            self.key(name),
            filename="cät.png",
            content_type=PNG,
            expires=FIVE_MINUTES,
            inline=inline,
        )
        return await self.http.get(url, headers=headers)
