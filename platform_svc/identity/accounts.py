"""Users as identity knows them, and how their addresses are compared."""

from __future__ import annotations

import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime

from meshkit.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class User:
    """One person."""

    id: uuid.UUID
    email: str
    display_name: str
    personal_org_id: uuid.UUID
    created_at: datetime
    email_verified_at: datetime | None = None
    two_step_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """A user with the hash of their password (PHC string format)."""

    user: User
    password_hash: str


@dataclass(frozen=True, slots=True)
class SignUpForm:
    """What a new user types; the password is taken exactly as typed."""

    email: str
    password: str
    display_name: str


def email_key(email: str) -> str:
    """Return what two spellings of one address have in common."""
    return unicodedata.normalize("NFC", email.strip()).casefold()


def check_display_name(name: str) -> None:
    """Refuse names that show nothing or that would garble what shows them.

    Raises:
        InvalidRequest: the name is blank or holds control characters.
    """
    if not name.strip() or _has_control_characters(name):
        description = "must be readable text"
        raise InvalidRequest(
            f"display_name {description}", field_violations=[("display_name", description)]
        )


def _has_control_characters(text: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
