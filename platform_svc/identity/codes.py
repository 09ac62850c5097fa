"""One-time codes: random, good once and briefly, each for one purpose; only digests are kept."""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

CODE_BYTES = 24


class Purpose(StrEnum):
    """What a code is good for; a code for one purpose is nothing for another."""

    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105 - the name of a purpose.
    SECOND_STEP = "second-step"


LIFETIMES = {
    Purpose.VERIFY_EMAIL: timedelta(minutes=10),
    Purpose.RESET_PASSWORD: timedelta(minutes=10),
    Purpose.SECOND_STEP: timedelta(minutes=5),
}


@dataclass(frozen=True, slots=True)
class Code:
    """What is kept of a code."""

    id: uuid.UUID
    user_id: uuid.UUID
    purpose: Purpose
    digest: bytes
    created_at: datetime
    expires_at: datetime


def mint(
    purpose: Purpose, user_id: uuid.UUID, *, code_id: uuid.UUID, random: bytes, now: datetime
) -> tuple[Code, str]:
    """Make a code from 24 fresh bytes; give what is kept of it, and its text."""
    assert len(random) == CODE_BYTES, "192 bits"
    text = base64.urlsafe_b64encode(random).decode()
    kept = Code(code_id, user_id, purpose, digest_of(purpose, text), now, now + LIFETIMES[purpose])
    return kept, text


def digest_of(purpose: Purpose, text: str) -> bytes:
    """Return what is kept of a code's text; white space from copying does not count.

    A fast hash is enough: nobody guesses 192 random bits.
    """
    return hashlib.sha256(f"{purpose}\0{text.strip()}".encode()).digest()
