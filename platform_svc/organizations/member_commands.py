"""Changes of who belongs to an organization: each method is one transaction.

Every change locks the organization first, so that two of them cannot take the last two owners
away at once, and judges the actor's role as it is under the lock.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.idempotency import Call
from platform_svc.organizations.errors import (
    MemberNotFound,
    OrganizationNotFound,
    OwnMembership,
    PersonalOrganizationKept,
)
from platform_svc.organizations.member_store import MemberStore
from platform_svc.organizations.membership import (
    Member,
    Organization,
    Role,
    check_owner_stays,
    check_reach,
)

R = TypeVar("R", bound=Message)


@dataclass(frozen=True, slots=True)
class MemberCommands:
    """What may be done to members; `actor_id` is the user who does it."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def change_role(
        self, org_id: uuid.UUID, actor_id: uuid.UUID, user_id: uuid.UUID, role: Role
    ) -> Member:
        """Give a member another role.

        Raises:
            MemberNotFound: the organization has no such member.
            RoleTooHigh: one of the roles is above the actor's own.
            LastOwner: the member is the last owner.
            PersonalOrganizationKept: the organization is the member's personal one.
        """
        async with self.sessions.begin() as session:
            store = MemberStore(session)
            organization, actor = await _locked(store, org_id, actor_id)
            member = await store.find(org_id, user_id)
            if member is None:
                raise MemberNotFound
            check_reach(actor.role, member.role)
            check_reach(actor.role, role)
            if member.role is role:
                return member
            check_owner_stays(organization, member, role, owners=await store.owners(org_id))
            await store.change(org_id, user_id, role, self.ambient)
        return replace(member, role=role)

    async def remove(self, org_id: uuid.UUID, actor_id: uuid.UUID, user_id: uuid.UUID) -> None:
        """End a membership; harmless if there is none.

        Raises:
            RoleTooHigh: the member's role is above the actor's own.
            LastOwner: the member is the last owner.
            PersonalOrganizationKept: the organization is the member's personal one.
        """
        async with self.sessions.begin() as session:
            store = MemberStore(session)
            organization, actor = await _locked(store, org_id, actor_id)
            member = await store.find(org_id, user_id)
            if member is None:
                return
            check_reach(actor.role, member.role)
            check_owner_stays(organization, member, None, owners=await store.owners(org_id))
            await store.remove(org_id, user_id, self.ambient)

    async def leave(self, org_id: uuid.UUID, user_id: uuid.UUID) -> None:
        """End the user's own membership; harmless if there is none.

        Raises:
            LastOwner: the user is the last owner.
            PersonalOrganizationKept: the organization is the user's personal one.
        """
        async with self.sessions.begin() as session:
            store = MemberStore(session)
            organization = await store.lock(org_id)
            member = await store.find(org_id, user_id)
            if organization is None or member is None:
                return
            check_owner_stays(organization, member, None, owners=await store.owners(org_id))
            await store.remove(org_id, user_id, self.ambient)

    async def transfer(
        self,
        org_id: uuid.UUID,
        owner_id: uuid.UUID,
        heir_id: uuid.UUID,
        call: Call[R],
        respond: Callable[[Member], R],
    ) -> R:
        """Make another member an owner and the owner an admin.

        Raises:
            OwnMembership: both are the same user.
            MemberNotFound: the organization has no such member.
            PersonalOrganizationKept: the organization is the owner's personal one.
            RoleTooHigh: the actor is no owner any more.
        """
        if owner_id == heir_id:
            raise OwnMembership
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            store = MemberStore(session)
            organization, owner = await _locked(store, org_id, owner_id)
            check_reach(owner.role, Role.OWNER)
            heir = await store.find(org_id, heir_id)
            if heir is None:
                raise MemberNotFound
            if organization.personal_user_id == owner_id:
                raise PersonalOrganizationKept
            await store.change(org_id, heir_id, Role.OWNER, self.ambient)
            await store.change(org_id, owner_id, Role.ADMIN, self.ambient)
            return await call.answer(session, respond(replace(heir, role=Role.OWNER)))


async def _locked(
    store: MemberStore, org_id: uuid.UUID, actor_id: uuid.UUID
) -> tuple[Organization, Member]:
    """Lock the organization and return it with the actor's part in it."""
    organization = await store.lock(org_id)
    actor = await store.find(org_id, actor_id)
    if organization is None or actor is None:
        raise OrganizationNotFound
    return organization, actor
