"""Profiles: what a handle may be and who may do what with a profile, without I/O."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from business_svc.social.errors import HandleReserved, ProfileSuspended

HANDLES_MAX: Final = 5
FOLLOWS_MAX: Final = 5_000
RESERVED: Final = frozenset(
    {
        *("about", "abuse", "admin", "administrator", "anonymous", "api", "billing", "deleted"),
        *("docs", "everyone", "explore", "feed", "help", "legal", "mail", "me", "moderation"),
        *("moderator", "official", "operator", "ops", "postmaster", "privacy", "reelmesh", "root"),
        *("security", "settings", "staff", "status", "support", "system", "team", "terms"),
        *("webmaster", "www"),
    }
)


class ProfileState(enum.StrEnum):
    """Whether others see a profile; only an active one does anything."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Author:
    """A profile beside what it made."""

    user_id: uuid.UUID
    handle: str
    display_name: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A user's public face. Counts are recounted from the facts within seconds."""

    user_id: uuid.UUID
    handle: str
    display_name: str
    bio: str
    state: ProfileState
    created_at: datetime
    follower_count: int = 0
    following_count: int = 0
    post_count: int = 0

    @property
    def author(self) -> Author:
        """The profile as it stands beside what it made."""
        return Author(self.user_id, self.handle, self.display_name)


@dataclass(frozen=True, slots=True)
class ProfileView:
    """A profile as one viewer sees it."""

    profile: Profile
    followed: bool = False
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What is to change of a profile; None leaves things as they are."""

    handle: str | None = None
    display_name: str | None = None
    bio: str | None = None


def check_handle(handle: str) -> None:
    """Refuse a handle by which a user could pose as the platform.

    Raises:
        HandleReserved: it is kept.
    """
    if handle in RESERVED:
        raise HandleReserved(handle)


def check_active(profile: Profile) -> None:
    """Demand that a profile may act.

    Raises:
        ProfileSuspended: operators suspended it.
    """
    if profile.state is not ProfileState.ACTIVE:
        raise ProfileSuspended
