"""API keys: how their text is made and checked, and what is known of them.

A text is `rmk_`, 43 characters of base62 from a 256-bit hash, and the CRC-32 of all that in 6
characters: a typing error or a guess is refused without a look at the database, and scanners
find leaked keys.
"""

from __future__ import annotations

import uuid
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from meshkit.peppers import Peppers

PREFIX: Final = "rmk_"
BODY_CHARACTERS: Final = 43
CHECKSUM_CHARACTERS: Final = 6
SHOWN_CHARACTERS: Final = len(PREFIX) + 6
ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
GOOD_FOR_DAYS: Final = 90
WORKING_MAX: Final = 100
# To change who belongs to an organization, what it pays for, or to make more keys, takes a person.
PERSONAL_SCOPES: Final = frozenset(
    {
        "organizations.leave",
        "organizations.transfer",
        "members.write",
        "api_keys.write",
        "api_keys.manage",
        "billing.write",
    }
)
TEXT_PURPOSE: Final = "api-key-text"
HASH_PURPOSE: Final = "api-key"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its text."""

    id: uuid.UUID
    org_id: uuid.UUID
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_by: uuid.UUID
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def works_at(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Wanted:
    """A validated wish for a key."""

    org_id: uuid.UUID
    name: str
    scopes: tuple[str, ...]
    good_for: timedelta


def texts_of(peppers: Peppers, seed: str) -> list[str]:
    """Return the text that a seed gives under each pepper, newest first.

    The seed is kept only as long as a repeated call may ask for the text again, and is of no use
    without the pepper.
    """
    return [_text(mac) for mac in peppers.macs(TEXT_PURPOSE, seed.encode())]


def is_well_formed(text: str) -> bool:
    """Return whether the text has the form and the checksum of a key."""
    if len(text) != len(PREFIX) + BODY_CHARACTERS + CHECKSUM_CHARACTERS:
        return False
    if not text.startswith(PREFIX) or not text.isascii():
        return False
    rest, checksum = text[:-CHECKSUM_CHARACTERS], text[-CHECKSUM_CHARACTERS:]
    return checksum == _checksum(rest)


def _text(mac: bytes) -> str:
    rest = PREFIX + _base62(int.from_bytes(mac), BODY_CHARACTERS)
    return rest + _checksum(rest)


def _checksum(rest: str) -> str:
    return _base62(zlib.crc32(rest.encode()), CHECKSUM_CHARACTERS)


def _base62(number: int, characters: int) -> str:
    digits = []
    for _ in range(characters):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    assert number == 0, "the characters suffice for the number"
    return "".join(reversed(digits))
