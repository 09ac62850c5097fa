"""Write use cases of the organizations service: each method is one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.idempotency import Call
from platform_svc.organizations.errors import OrganizationExists, TooManyOrganizations
from platform_svc.organizations.member_store import MemberStore
from platform_svc.organizations.membership import (
    OWNED_MAX,
    Member,
    Membership,
    OrganizationKind,
    PersonalOrganization,
    Role,
)
from platform_svc.organizations.store import OrganizationStore

R = TypeVar("R", bound=Message)


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
                made = Membership(
                    wanted.org_id, wanted.name, OrganizationKind.PERSONAL, Role.OWNER, now
                )
                await store.announce(made, wanted.user_id, self.ambient)
                return made
            existing = await store.membership(wanted.org_id, wanted.user_id)
        if (
            existing is None
            or existing.kind is not OrganizationKind.PERSONAL
            or existing.role is not Role.OWNER
        ):
            raise OrganizationExists
        return existing

    async def create(
        self, name: str, owner_id: uuid.UUID, call: Call[R], respond: Callable[[Membership], R]
    ) -> R:
        """Make a team's organization; a repeated key gives the first answer.

        Raises:
            TooManyOrganizations: the user owns as many as one may.
        """
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            store, members = OrganizationStore(session), MemberStore(session)
            await store.lock_creation(owner_id)
            if await members.owned(owner_id) >= OWNED_MAX:
                raise TooManyOrganizations(OWNED_MAX)
            made = Membership(
                self.ambient.new_id(), name, OrganizationKind.TEAM, Role.OWNER, created_at=now
            )
            await store.add_team(made)
            await members.add(made.org_id, Member(owner_id, Role.OWNER, now), self.ambient)
            await store.announce(made, owner_id, self.ambient)
            return await call.answer(session, respond(made))
