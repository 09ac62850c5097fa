"""Organizations and the part that people have in them."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime


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


@dataclass(frozen=True, slots=True)
class PersonalOrganization:
    """A wish for the organization that a user gets at sign-up; identity chose the ids."""

    org_id: uuid.UUID
    user_id: uuid.UUID
    name: str


@dataclass(frozen=True, slots=True)
class Membership:
    """An organization as one of its members sees it."""

    org_id: uuid.UUID
    name: str
    kind: OrganizationKind
    role: Role
    created_at: datetime
