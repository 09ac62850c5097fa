"""The second step of signing in: authenticator codes (RFC 6238) and recovery codes.

Each code is good once. An authenticator's clock may be one period off in either direction.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp

ISSUER = "Reelmesh"
SECRET_BYTES = 20
PERIOD_SECONDS = 30
STEPS_OFF_MAX = 1
RECOVERY_CODES = 10
RECOVERY_CODE_BYTES = 10
GROUP_CHARACTERS = 4
# An enrolment that nobody confirms ends.
ENROLMENT_LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a user keeps: the secret for the authenticator, and codes for when it is lost."""

    secret: str
    recovery_codes: tuple[str, ...]

    def uri(self, email: str) -> str:
        """Return the `otpauth` address that authenticators read as a QR code."""
        return pyotp.TOTP(self.secret).provisioning_uri(name=email, issuer_name=ISSUER)


def new_enrolment(random: bytes) -> Enrolment:
    """Make an enrolment from 120 fresh bytes."""
    assert len(random) == SECRET_BYTES + RECOVERY_CODES * RECOVERY_CODE_BYTES
    rest = random[SECRET_BYTES:]
    codes = (
        _grouped(rest[at : at + RECOVERY_CODE_BYTES])
        for at in range(0, len(rest), RECOVERY_CODE_BYTES)
    )
    return Enrolment(base64.b32encode(random[:SECRET_BYTES]).decode(), tuple(codes))


def matching_step(secret: str, code: str, *, now: datetime, after_step: int | None) -> int | None:
    """Return the period whose code this is; None if it is wrong, or no newer than `after_step`."""
    current = int(now.timestamp()) // PERIOD_SECONDS
    totp = pyotp.TOTP(secret, interval=PERIOD_SECONDS)
    for step in range(current - STEPS_OFF_MAX, current + STEPS_OFF_MAX + 1):
        is_right = hmac.compare_digest(totp.generate_otp(step).encode(), code.strip().encode())
        if is_right and (after_step is None or step > after_step):
            return step
    return None


def recovery_digest(user_id: uuid.UUID, code: str) -> bytes:
    """Return what is kept of a recovery code; case, spaces and hyphens do not count."""
    bare = code.replace("-", "").replace(" ", "").strip().lower()
    return hashlib.sha256(user_id.bytes + bare.encode()).digest()


def _grouped(random: bytes) -> str:
    text = base64.b32encode(random).decode().lower()
    groups = (text[at : at + GROUP_CHARACTERS] for at in range(0, len(text), GROUP_CHARACTERS))
    return "-".join(groups)
