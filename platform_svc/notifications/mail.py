"""A mail on its way: its states, and when a failed delivery is tried again."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LIFETIME_DEFAULT = timedelta(days=1)
PAUSE_MIN = timedelta(seconds=5)
PAUSE_MAX = timedelta(hours=1)
# Beyond this many doublings the longest pause is long reached.
DOUBLINGS_MAX = 16


class MailState(StrEnum):
    """Where a mail stands; `sent` and `failed` are final."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MailOrder:
    """What a service wants to be sent."""

    idempotency_key: str
    template: str
    recipient: str
    parameters: Mapping[str, str]
    expires_at: datetime | None = None

    def fingerprint(self) -> bytes:
        """Return a digest that differs for other templates and recipients.

        The parameters stay out of it: a fast hash of a short code would give the code away.
        """
        return hashlib.sha256(f"{self.template}\0{self.recipient}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as its sender sees it."""

    id: uuid.UUID
    state: MailState
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail that a worker has claimed; `attempts` counts this one too."""

    id: uuid.UUID
    template: str
    recipient: str
    parameters: Mapping[str, str]
    attempts: int
    created_at: datetime
    expires_at: datetime


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts."""
    assert attempts >= 1
    return min(PAUSE_MAX, PAUSE_MIN * (1 << min(attempts - 1, DOUBLINGS_MAX)))
