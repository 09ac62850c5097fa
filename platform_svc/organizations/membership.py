"""Organizations and the part that people have in them: values and pure rules."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime

from platform_svc.organizations.errors import LastOwner, PersonalOrganizationKept, RoleTooHigh

OWNED_MAX = 50


class OrganizationKind(enum.StrEnum):
    """Who an organization is for."""

    PERSONAL = "personal"
    TEAM = "team"


class Role(enum.StrEnum):
    """What a member may do, most first; the table of roles has the same rows."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class PersonalOrganization:
    """A wish for the organization that a user gets at sign-up; identity chose the ids."""

    org_id: uuid.UUID
    user_id: uuid.UUID
    name: str


@dataclass(frozen=True, slots=True)
class Organization:
    """What the rules of membership look at; `personal_user_id` is set for personal ones."""

    org_id: uuid.UUID
    name: str
    personal_user_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Membership:
    """An organization as one of its members sees it."""

    org_id: uuid.UUID
    name: str
    kind: OrganizationKind
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A user's part in an organization, as the organization sees it."""

    user_id: uuid.UUID
    role: Role
    joined_at: datetime
    name: str = ""  # As at sign-up; empty where it was not looked up.


def check_reach(actor: Role, role: Role) -> None:
    """Demand that a role to be given or taken is not above the actor's own.

    Raises:
        RoleTooHigh: it is.
    """
    if RANKS[role] < RANKS[actor]:
        raise RoleTooHigh(role)


def check_owner_stays(
    organization: Organization, member: Member, wanted: Role | None, *, owners: int
) -> None:
    """Demand that an organization keeps an owner when a member's role becomes `wanted`.

    `owners` counts those before the change; None as the wanted role ends the membership.

    Raises:
        PersonalOrganizationKept: the organization is the member's personal one.
        LastOwner: there would be no owner.
    """
    if member.role is not Role.OWNER or wanted is Role.OWNER:
        return
    if organization.personal_user_id == member.user_id:
        raise PersonalOrganizationKept
    assert owners >= 1, "the member is one of them"
    if owners == 1:
        raise LastOwner
