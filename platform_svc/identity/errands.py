"""Errands: mails that identity owes somebody, kept until they are handed over.

An errand is written in the transaction that causes it and holds no secret: a code that the mail
carries is made only when the mail is handed over.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PAUSE_MIN = timedelta(seconds=1)
PAUSE_MAX = timedelta(minutes=1)
DOUBLINGS_MAX = 8


class ErrandKind(StrEnum):
    """What the mail is about; also the name of its template."""

    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105 - the name of a template.
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - likewise.
    TWO_STEP_ENABLED = "two-step-enabled"
    TWO_STEP_DISABLED = "two-step-disabled"
    ACCOUNT_DELETED = "account-deleted"


@dataclass(frozen=True, slots=True)
class Errand:
    """One mail owed: to a user, or to whoever has an address.

    For RESET_PASSWORD `address` is what somebody typed, compared as `email_key` does, and nobody
    may have it. For ACCOUNT_DELETED it is where the mail goes, since the user is gone by then.
    """

    id: uuid.UUID
    kind: ErrandKind
    created_at: datetime
    user_id: uuid.UUID | None = None
    address: str | None = None
    display_name: str | None = None
    attempts: int = 0


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts."""
    return min(PAUSE_MAX, PAUSE_MIN * (1 << min(attempts, DOUBLINGS_MAX)))
