"""Page tokens: where the next page begins, opaque to callers and checked when it comes back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from meshkit.errors import InvalidPageToken

CHECKSUM_BYTES = 8
TOKEN_CHARACTERS_MAX = 512
# Not a secret: the checksum finds damage and guessing, access is checked by each list itself.
PERSONALIZATION = b"reelmesh-page"


def encode_page_token(values: Sequence[str | int]) -> str:
    """Return a URL-safe token for the sort key of the last row of a page."""
    payload = json.dumps(list(values), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(payload) + payload).decode().rstrip("=")


def decode_page_token(token: str) -> tuple[str | int, ...]:
    """Return the values that the token was made of.

    Raises:
        InvalidPageToken: the token was damaged, or made by somebody else.
    """
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise InvalidPageToken("page_token is too long")
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPageToken("page_token is damaged") from None
    checksum, payload = raw[:CHECKSUM_BYTES], raw[CHECKSUM_BYTES:]
    if checksum != _checksum(payload):
        raise InvalidPageToken("page_token is damaged")
    values: list[str | int] = json.loads(payload)
    return tuple(values)


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=CHECKSUM_BYTES, person=PERSONALIZATION).digest()
