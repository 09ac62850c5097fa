"""Invitations: values, the token of the mail, and pure rules."""

from __future__ import annotations

import base64
import enum
import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from meshkit.peppers import Peppers
from platform_svc.organizations.errors import InvitationExpired, InvitationOver
from platform_svc.organizations.membership import Role

GOOD_FOR: Final = timedelta(days=7)
OPEN_MAX: Final = 100
MAILS_APART: Final = timedelta(minutes=1)
TOKEN_PREFIX: Final = "rmi_"  # noqa: S105 - what tokens begin with, no secret
PURPOSE: Final = "invitation"


class State(enum.StrEnum):
    """Where an invitation stands; EXPIRED is shown for pending ones whose time is over."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An offer of membership; `generation` counts its mails, each with a token of its own."""

    id: uuid.UUID
    org_id: uuid.UUID
    email: str
    role: Role
    state: State
    generation: int
    invited_by: uuid.UUID
    created_at: datetime
    expires_at: datetime
    mail_asked_at: datetime
    accepted_by: uuid.UUID | None = None
    mail_due_at: datetime | None = None  # None when the mail has left.

    def state_at(self, now: datetime) -> State:
        """Return the state as it is shown."""
        over = self.state is State.PENDING and now >= self.expires_at
        return State.EXPIRED if over else self.state

    def check_open(self) -> None:
        """Demand that nobody has answered or revoked it.

        Raises:
            InvitationOver: somebody has.
        """
        if self.state is not State.PENDING:
            raise InvitationOver(self.state)

    def check_good(self, now: datetime) -> None:
        """Demand that it may be accepted now.

        Raises:
            InvitationOver: it was answered or revoked.
            InvitationExpired: its time is over.
        """
        self.check_open()
        if now >= self.expires_at:
            raise InvitationExpired


def tokens_of(peppers: Peppers, invitation_id: uuid.UUID, generation: int) -> list[str]:
    """Return the token of one mail under each pepper, newest first.

    It is made again from the pepper whenever the mail is tried, so that it is stored nowhere.
    """
    macs = peppers.macs(PURPOSE, f"{invitation_id}:{generation}".encode())
    return [TOKEN_PREFIX + base64.urlsafe_b64encode(mac).decode().rstrip("=") for mac in macs]


def token_hash(token: str) -> bytes:
    """Return what is stored of a token; it has 256 random-looking bits, so a plain hash does."""
    return hashlib.sha256(token.encode()).digest()
