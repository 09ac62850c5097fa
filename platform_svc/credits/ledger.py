"""The values of the credit ledger, and the few rules that need no database.

The rules that move credits are the server-side functions of the migrations, because they must
see fresh rows behind the account's lock; these are the shapes that go in and come out.
"""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

UNIT = "credit"
PRIORITY_DEFAULT = 50


class GrantKind(enum.StrEnum):
    """Where granted credits come from."""

    PLAN = "plan"
    PURCHASED = "purchased"
    PROMOTION = "promotion"
    TRIAL = "trial"
    REFUND = "refund"
    MANUAL = "manual"


class HoldState(enum.StrEnum):
    """A hold is pending, then ends once in one of the others."""

    PENDING = "pending"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"


class PostingKind(enum.StrEnum):
    """Why credits entered or left an account."""

    GRANT = "grant"
    CAPTURE = "capture"
    EXPIRY = "expiry"


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """A validated wish to give credits; `idempotency_key` is unique over all organizations."""

    org_id: uuid.UUID
    amount_credits: int
    idempotency_key: str
    kind: GrantKind
    priority: int = PRIORITY_DEFAULT
    expires_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """Credits given once; `remaining_credits` includes what is held."""

    id: uuid.UUID
    org_id: uuid.UUID
    kind: str
    amount_credits: int
    remaining_credits: int
    expires_at: datetime | None
    created_at: datetime
    held_credits: int = 0
    priority: int = PRIORITY_DEFAULT
    note: str = ""


class BurnPosition(NamedTuple):
    """Where a grant stands in the order in which grants burn; one without an end burns last."""

    priority: int
    expires_at: datetime | None
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """A validated wish to set credits aside under the caller's id for the work."""

    id: str
    org_id: uuid.UUID
    amount_credits: int
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class Hold:
    """Credits set aside for one piece of work."""

    id: str
    org_id: uuid.UUID
    amount_credits: int
    captured_credits: int
    state: HoldState
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """What an organization owns."""

    available_credits: int
    held_credits: int

    @property
    def total_credits(self) -> int:
        """Available and held together."""
        return self.available_credits + self.held_credits


@dataclass(frozen=True, slots=True)
class Posting:
    """One line on an organization's account; `seq` grows with each, `amount_credits` is signed."""

    transaction_id: uuid.UUID
    seq: int
    kind: PostingKind
    amount_credits: int
    reference: str
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Capture:
    """Credits that were charged for good; the amount is positive."""

    hold_id: str
    org_id: uuid.UUID
    amount_credits: int
    captured_at: datetime


def sign_up_grant(org_id: uuid.UUID, public_org_id: str, amount_credits: int) -> GrantRequest:
    """The promotion that a new organization gets once.

    The key is built from the public id, so that identity's call at sign-up and the event that
    repairs it name the same grant.
    """
    return GrantRequest(
        org_id=org_id,
        amount_credits=amount_credits,
        idempotency_key=f"sign-up:{public_org_id}",
        kind=GrantKind.PROMOTION,
        note="Welcome",
    )
