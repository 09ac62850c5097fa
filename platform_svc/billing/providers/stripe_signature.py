"""Checks that an event was signed by Stripe, a short while ago."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import stripe

from platform_svc.billing.errors import SignatureInvalid

# Stripe's own tolerance; an older signature may be a replay.
TOLERANCE: Final = timedelta(minutes=5)
TIMESTAMP: Final = re.compile(r"(?:^|,)t=(\d{1,12})(?:,|$)")


@dataclass(frozen=True)
class SignedEvents:
    """Reads events under any of the secrets, newest first, so that a secret can be replaced."""

    secrets: Sequence[str]

    def read(self, payload: bytes, signature: str, *, now: datetime) -> dict[str, Any]:
        """Return the event of a payload.

        Raises:
            SignatureInvalid: the signature is missing, forged, or more than five minutes old.
        """
        match = TIMESTAMP.search(signature)
        if match is None:
            raise SignatureInvalid("the event carries no signature")
        if abs(now - datetime.fromtimestamp(int(match[1]), UTC)) > TOLERANCE:
            raise SignatureInvalid("the signature is too old")
        if not any(_verifies(payload, signature, secret) for secret in self.secrets):
            raise SignatureInvalid("the signature is wrong")
        event: dict[str, Any] = json.loads(payload)
        return event


def _verifies(payload: bytes, signature: str, secret: str) -> bool:
    try:
        # The age was checked by our own clock.
        return bool(stripe.WebhookSignature.verify_header(payload, signature, secret, None))
    except (stripe.SignatureVerificationError, ValueError):
        return False
