"""Time and identity as arguments, so that a test can hold both still."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

NANOSECONDS_PER_MILLISECOND = 1_000_000
FRACTION_BITS = 12
RANDOM_BITS = 62
VERSION_7 = 0x7 << 76
VARIANT_RFC = 0b10 << 62


def utc_now() -> datetime:
    """Return the current time; the only reading of the wall clock in the services."""
    return datetime.now(UTC)  # noqa: TID251 - this is the one place


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7 (RFC 9562, section 5.7): ids sort by the time they were made.

    The 12 bits after the milliseconds hold the fraction of the millisecond (section 6.2, method
    3), so ids of one process are ordered to about a quarter of a microsecond.
    """
    milliseconds, rest = divmod(time.time_ns(), NANOSECONDS_PER_MILLISECOND)
    fraction = (rest << FRACTION_BITS) // NANOSECONDS_PER_MILLISECOND
    value = milliseconds << 80 | VERSION_7 | fraction << 64 | VARIANT_RFC
    return uuid.UUID(int=value | secrets.randbits(RANDOM_BITS))


@dataclass(frozen=True, slots=True)
class Ambient:
    """What a command may not invent for itself: the time and new ids."""

    now: Callable[[], datetime] = utc_now
    new_id: Callable[[], uuid.UUID] = uuid7
