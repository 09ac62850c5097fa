"""What an asset is: its states, its keys in the store, and what makes its bytes acceptable.

pending --verified--> ready <--restored/deleted--> trashed --purged--> deleted
   |                    ^                                                 ^
   |                    +--object gone / there again--> lost --deleted----+
   +--bytes differ--> rejected --deleted----------------------------------+
   +--never uploaded, aborted---------------------------------------------+
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from meshkit.errors import InvalidRequest
from platform_svc.assets.errors import UnsupportedContentType

QUARANTINE_PREFIX: Final = "quarantine/"
READY_PREFIX: Final = "assets/"
PREVIEWS_PREFIX: Final = "previews/"
RESULTS_PREFIX: Final = "results/"
PICTURE_BYTES_MAX: Final = 25 << 20
# As much as is read, verified and copied well within the 30 seconds of a call.
VIDEO_BYTES_MAX: Final = 512 << 20
# What one request of a client carries; longer files come in parts.
SINGLE_BYTES_MAX: Final = 25 << 20
SIZE_BYTES_MAX: Final[dict[str, int]] = {
    "image/jpeg": PICTURE_BYTES_MAX,
    "image/png": PICTURE_BYTES_MAX,
    "image/webp": PICTURE_BYTES_MAX,
    "video/mp4": VIDEO_BYTES_MAX,
    "video/webm": VIDEO_BYTES_MAX,
}
PIXELS_MAX: Final = 40_000_000
# Keys of results are made by regions: plain names and slashes, nothing a store might normalize.
RESULT_KEY: Final = re.compile(r"results(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*){1,8}")


class State(StrEnum):
    """Where an asset is in its life."""

    PENDING = "pending"
    READY = "ready"
    REJECTED = "rejected"
    TRASHED = "trashed"
    LOST = "lost"
    DELETED = "deleted"


# What callers do not see any more, but for the trash's own list.
GONE: Final = frozenset({State.TRASHED, State.DELETED})


class Flaw(StrEnum):
    """Why bytes were refused."""

    SIZE_DIFFERS = "size_differs"
    SHA256_DIFFERS = "sha256_differs"
    NOT_OF_CONTENT_TYPE = "not_of_content_type"
    NOT_DECODABLE = "not_decodable"
    TOO_MANY_PIXELS = "too_many_pixels"
    HAS_MANY_FRAMES = "has_many_frames"
    TOO_COSTLY = "too_costly"
    TOO_LONG = "too_long"
    UNSUPPORTED_CODEC = "unsupported_codec"


@dataclass(frozen=True, slots=True)
class Contents:
    """What the bytes of an asset are announced to be; `sha256` is lower-case hexadecimal."""

    filename: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The size of a picture in pixels; a video also has a length."""

    width: int
    height: int
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PartsPlan:
    """How a file is cut; `upload_id` is the store's, once the upload has begun there."""

    part_bytes: int
    upload_id: str | None = None

    def count(self, size_bytes: int) -> int:
        """Give the number of parts of a file."""
        return -(-size_bytes // self.part_bytes)

    def size_of(self, number: int, size_bytes: int) -> int:
        """Give the length of a part of a file."""
        assert 1 <= number <= self.count(size_bytes), number
        return min(self.part_bytes, size_bytes - (number - 1) * self.part_bytes)


@dataclass(frozen=True, slots=True)
class Trashed:
    """When an asset was deleted, and when it is to be removed for good."""

    at: datetime
    purge_at: datetime


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
    plan: PartsPlan | None = None
    trashed: Trashed | None = None

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

    def discard(self, now: datetime, kept_for: timedelta) -> Asset:
        """Give the asset as it is once it was deleted: in the trash, if there is what to keep."""
        if self.state is State.READY:
            return replace(self, state=State.TRASHED, trashed=Trashed(now, now + kept_for))
        return self if self.state is State.TRASHED else self.remove()

    def restore(self) -> Asset:
        """Give the asset as it is once it was taken out of the trash."""
        assert self.state is State.TRASHED, self.state
        return replace(self, state=State.READY, trashed=None)

    def remove(self) -> Asset:
        """Give the asset as it is once it was removed for good."""
        return replace(self, state=State.DELETED, trashed=None)

    def lose(self) -> Asset:
        """Give the asset as it is once the store has lost its object."""
        assert self.state in {State.READY, State.TRASHED}, self.state
        return replace(self, state=State.LOST, trashed=None)

    def recover(self) -> Asset:
        """Give the asset as it is once its object is there again."""
        assert self.state is State.LOST, self.state
        return replace(self, state=State.READY)

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
    if content_type not in SIZE_BYTES_MAX:
        raise UnsupportedContentType(content_type, supported=", ".join(SIZE_BYTES_MAX))


def check_size(contents: Contents, *, in_parts: bool) -> None:
    """Refuse a file that is too long for its type, or for one request.

    Raises:
        UnsupportedContentType: the type is none of the supported ones.
        InvalidRequest: it is too long.
    """
    check_content_type(contents.content_type)
    limit = SIZE_BYTES_MAX[contents.content_type]
    if contents.size_bytes > limit:
        raise _too_long(f"{contents.content_type} files have {limit} bytes at most")
    if contents.size_bytes > SINGLE_BYTES_MAX and not in_parts:
        raise _too_long(f"above {SINGLE_BYTES_MAX} bytes a file comes in parts: set multipart")


def _too_long(why: str) -> InvalidRequest:
    return InvalidRequest("the file is too long", field_violations=[("size_bytes", why)])
