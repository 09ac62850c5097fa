"""What an asset is: its states, its keys in the store, and what makes its bytes acceptable.

pending --verified--> ready --deleted--> deleted
   |                                        ^
   +--bytes differ--> rejected --deleted----+
   +--never uploaded------------------------+
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from platform_svc.assets.errors import UnsupportedContentType

QUARANTINE_PREFIX: Final = "quarantine/"
READY_PREFIX: Final = "assets/"
RESULTS_PREFIX: Final = "results/"
CONTENT_TYPES: Final = ("image/jpeg", "image/png", "image/webp")
SIZE_BYTES_MAX: Final = 25 << 20
PIXELS_MAX: Final = 40_000_000
# Keys of results are made by regions: plain names and slashes, nothing a store might normalize.
RESULT_KEY: Final = re.compile(r"results(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*){1,8}")


class State(StrEnum):
    """Where an asset is in its life."""

    PENDING = "pending"
    READY = "ready"
    REJECTED = "rejected"
    DELETED = "deleted"


class Flaw(StrEnum):
    """Why bytes were refused."""

    SIZE_DIFFERS = "size_differs"
    SHA256_DIFFERS = "sha256_differs"
    NOT_OF_CONTENT_TYPE = "not_of_content_type"
    NOT_DECODABLE = "not_decodable"
    TOO_MANY_PIXELS = "too_many_pixels"
    HAS_MANY_FRAMES = "has_many_frames"
    TOO_COSTLY = "too_costly"


@dataclass(frozen=True, slots=True)
class Contents:
    """What the bytes of an asset are announced to be; `sha256` is lower-case hexadecimal."""

    filename: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The size of a picture in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of an organization; `upload_ends_at` is set for what users upload."""

    id: uuid.UUID
    org_id: uuid.UUID
    contents: Contents
    state: State
    created_at: datetime
    upload_ends_at: datetime | None = None
    dimensions: Dimensions | None = None
    run_id: uuid.UUID | None = None
    flaw: Flaw | None = None

    @property
    def object_key(self) -> str:
        """Where the verified bytes lie."""
        return f"{READY_PREFIX}{self.org_id}/{self.id}"

    @property
    def quarantine_key(self) -> str:
        """Where a client puts bytes that nobody has verified."""
        return f"{QUARANTINE_PREFIX}{self.org_id}/{self.id}"

    def accept(self, dimensions: Dimensions) -> Asset:
        """Give the asset as it is once its bytes were verified."""
        assert self.state is State.PENDING, self.state
        return replace(self, state=State.READY, dimensions=dimensions)

    def reject(self, flaw: Flaw) -> Asset:
        """Give the asset as it is once its bytes were refused."""
        assert self.state is State.PENDING, self.state
        return replace(self, state=State.REJECTED, flaw=flaw)

    def is_same_import(self, other: Asset) -> bool:
        """Whether a repeated import describes this asset."""
        return (self.id, self.org_id, self.contents, self.run_id) == (
            other.id,
            other.org_id,
            other.contents,
            other.run_id,
        )


def check_content_type(content_type: str) -> None:
    """Refuse a type that is not taken.

    Raises:
        UnsupportedContentType: the type is none of the supported ones.
    """
    if content_type not in CONTENT_TYPES:
        raise UnsupportedContentType(content_type, supported=", ".join(CONTENT_TYPES))
