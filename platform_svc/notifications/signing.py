"""Signs webhooks after Standard Webhooks 1.0 (symmetric signatures, `v1`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the beginning of every secret, and none itself
# The specification allows 24 to 64.
SECRET_BYTES: Final = 32


def secret_text(secret: bytes) -> str:
    """Return a secret as it is told to whoever verifies."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def headers_of(
    message_id: str, body: bytes, secrets: Sequence[bytes], *, now: datetime
) -> dict[str, str]:
    """Return the three headers; there is a signature by each secret, separated by spaces.

    The id is that of the message and stays over retries, the time is that of this attempt.
    """
    assert secrets, "an endpoint has a secret"
    timestamp = str(int(now.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: bytes, signed: bytes) -> str:
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
