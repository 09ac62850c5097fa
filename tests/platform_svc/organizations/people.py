"""Users by short names, who act in one organization."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

from reelmesh.platform.organizations.v1 import members_service_pb2 as members_pb
from reelmesh.platform.organizations.v1 import organizations_service_pb2 as pb

from meshkit.ids import format_id, parse_id
from meshkit.postgres import Database
from meshkit.testing.clock import START
from meshkit.testing.identity import USER, TestIdentity
from platform_svc.organizations.tables import MembershipRow

NAMES = ("ada", "bob", "cyd", "dot")


def user_id(name: str) -> uuid.UUID:
    return uuid.UUID(int=1000 + NAMES.index(name))


def public_id(name: str) -> str:
    return format_id("usr", user_id(name))


@dataclass
class People:
    """Stubs and the metadata with which a user's calls are made."""

    identity: TestIdentity
    organizations: Any
    members: Any
    invitations: Any
    org_id: str = ""

    def calls(self, name: str, *, key: str | None = None) -> dict[str, Any]:
        """Give what a call by the user carries."""
        org = parse_id("org", self.org_id, field="org_id") if self.org_id else uuid.UUID(int=1)
        user = replace(USER, user_id=user_id(name), organization_id=org)
        extra = () if key is None else (("idempotency-key", key),)
        return {"metadata": (*self.identity.user_metadata(user), *extra)}

    async def found(self, name: str) -> str:
        """Make a team's organization, about which the rest of the test is."""
        request = pb.CreateOrganizationRequest(name="Team")
        made = await self.organizations.CreateOrganization(request, **self.calls(name))
        self.org_id = made.org_id
        return made.org_id

    async def join(self, database: Database, **roles: str) -> None:
        """Make users members without an invitation."""
        async with database.sessions.begin() as session:
            for name, role in roles.items():
                session.add(
                    MembershipRow(
                        org_id=parse_id("org", self.org_id, field="org_id"),
                        user_id=user_id(name),
                        role=role,
                        joined_at=START,
                    )
                )

    async def roles(self, name: str = "ada") -> dict[str, str]:
        """Give everybody's role."""
        request = members_pb.ListMembersRequest(org_id=self.org_id)
        listed = await self.members.ListMembers(request, **self.calls(name))
        names = {public_id(one): one for one in NAMES}
        return {names[member.user_id]: member.role for member in listed.members}
