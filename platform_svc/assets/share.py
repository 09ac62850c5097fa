"""Share links: what opens an asset to people without an account."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from meshkit.peppers import Peppers

PURPOSE: Final = "share-link"
PREFIX: Final = "rms_"
ID_BYTES: Final = 16
MAC_BYTES: Final = 26  # With the id without padding in base64.
LIFETIME_DEFAULT: Final = timedelta(days=7)
LINKS_MAX: Final = 100
# Short, since a revoked link must be of no use soon.
DOWNLOAD_LIFETIME: Final = timedelta(minutes=1)


class ShareState(StrEnum):
    """Whether a link opens anything."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    USED_UP = "used_up"


@dataclass(frozen=True, slots=True)
class ShareLink:
    """One link to one asset; without `downloads_max` it may be used as often as anybody likes."""

    id: uuid.UUID
    org_id: uuid.UUID
    asset_id: uuid.UUID
    created_by: uuid.UUID
    created_at: datetime
    expires_at: datetime
    downloads_max: int | None
    downloads_count: int = 0
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> ShareState:
        """Give what the link is good for at a time."""
        if self.revoked_at is not None:
            return ShareState.REVOKED
        if now >= self.expires_at:
            return ShareState.EXPIRED
        if self.downloads_max is not None and self.downloads_count >= self.downloads_max:
            return ShareState.USED_UP
        return ShareState.ACTIVE


def token_of(peppers: Peppers, link_id: uuid.UUID) -> str:
    """Give the token of a link; who has the database only cannot make it."""
    mac = peppers.mac(PURPOSE, link_id.bytes)[:MAC_BYTES]
    return PREFIX + base64.urlsafe_b64encode(link_id.bytes + mac).decode()


def link_id_of(peppers: Peppers, token: str) -> uuid.UUID | None:
    """Give the link that a token opens, or None if it was not made here."""
    try:
        raw = base64.b64decode(token.removeprefix(PREFIX), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    head, mac = raw[:ID_BYTES], raw[ID_BYTES:]
    if not token.startswith(PREFIX) or len(mac) != MAC_BYTES:
        return None
    good = [hmac.compare_digest(mac, own[:MAC_BYTES]) for own in peppers.macs(PURPOSE, head)]
    return uuid.UUID(bytes=head) if any(good) else None
