"""Write use cases of the organizations service: each method is one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from platform_svc.organizations.errors import OrganizationExists
from platform_svc.organizations.membership import (
    Membership,
    OrganizationKind,
    PersonalOrganization,
    Role,
)
from platform_svc.organizations.store import OrganizationStore


@dataclass(frozen=True, slots=True)
class OrganizationCommands:
    """What may be done to organizations."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def ensure_personal(self, wanted: PersonalOrganization) -> Membership:
        """Make a user's personal organization, or give the one that was made before.

        Raises:
            OrganizationExists: the id or the user has another organization.
        """
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            store = OrganizationStore(session)
            # Inserting first orders two calls: the second waits here for the first one's commit.
            if await store.add_personal(wanted, now=now):
                await store.announce_personal(wanted, event_id=self.ambient.new_id(), now=now)
                return Membership(
                    wanted.org_id, wanted.name, OrganizationKind.PERSONAL, Role.OWNER, now
                )
            existing = await store.membership(wanted.org_id, wanted.user_id)
        if (
            existing is None
            or existing.kind is not OrganizationKind.PERSONAL
            or existing.role is not Role.OWNER
        ):
            raise OrganizationExists
        return existing
