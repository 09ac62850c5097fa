"""What may be done to invitations: each method is one transaction.

The organization is locked first and the invitation after it, like everywhere in this service.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.audit import Change, record
from meshkit.clock import Ambient
from meshkit.idempotency import Call
from meshkit.ids import format_id
from meshkit.peppers import Peppers
from meshkit.postgres import after_commit
from platform_svc.organizations.errors import (
    AlreadyMember,
    InvitationExists,
    InvitationJustSent,
    InvitationNotFound,
    InvitationOver,
    OrganizationNotFound,
    TooManyInvitations,
)
from platform_svc.organizations.invitation import (
    GOOD_FOR,
    MAILS_APART,
    OPEN_MAX,
    Invitation,
    State,
    token_hash,
    tokens_of,
)
from platform_svc.organizations.invitation_store import InvitationStore
from platform_svc.organizations.member_store import MemberStore
from platform_svc.organizations.membership import Member, Role, check_reach

R = TypeVar("R", bound=Message)

CREATED = "invitation.created"
RESENT = "invitation.resent"
REVOKED = "invitation.revoked"


@dataclass(frozen=True, slots=True)
class InvitationCommands:
    """What may be done to invitations; `mail_asked` is set whenever a mail has become due."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    peppers: Peppers
    mail_asked: asyncio.Event

    async def create(
        self,
        wanted: tuple[uuid.UUID, str, Role],
        actor_id: uuid.UUID,
        call: Call[R],
        respond: Callable[[Invitation], R],
    ) -> R:
        """Invite an address (organization, email, role); a repeated key gives the first answer.

        Raises:
            RoleTooHigh: the role is above the actor's own.
            InvitationExists: the address has an open invitation.
            TooManyInvitations: the organization has as many as it may have.
        """
        org_id, email, role = wanted
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            await _check_actor(session, org_id, actor_id, role)
            store = InvitationStore(session)
            now = self.ambient.now()
            pending = await store.open_for(org_id, email)
            if pending is not None:
                if pending.state_at(now) is State.PENDING:
                    raise InvitationExists
                await store.end(pending.id, State.EXPIRED)
            if await store.open_count(org_id, now) >= OPEN_MAX:
                raise TooManyInvitations(OPEN_MAX)
            invitation = Invitation(
                id=self.ambient.new_id(),
                org_id=org_id,
                email=email,
                role=role,
                state=State.PENDING,
                generation=1,
                invited_by=actor_id,
                created_at=now,
                expires_at=now + GOOD_FOR,
                mail_asked_at=now,
                mail_due_at=now,
            )
            await store.add(invitation, self._hash(invitation))
            await _record(session, CREATED, invitation, self.ambient)
            after_commit(session, self.mail_asked.set)
            return await call.answer(session, respond(invitation))

    async def resend(
        self,
        ids: tuple[uuid.UUID, uuid.UUID],
        actor_id: uuid.UUID,
        call: Call[R],
        respond: Callable[[Invitation], R],
    ) -> R:
        """Send an invitation (organization, invitation) again with a new token.

        Raises:
            InvitationNotFound: the organization has no such invitation.
            InvitationOver: it was answered or revoked.
            InvitationJustSent: it was sent less than a minute ago.
            RoleTooHigh: its role is above the actor's own.
        """
        org_id, invitation_id = ids
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            await MemberStore(session).lock(org_id)
            store = InvitationStore(session)
            invitation = await store.find(org_id, invitation_id)
            if invitation is None:
                raise InvitationNotFound
            await _check_actor(session, org_id, actor_id, invitation.role)
            invitation.check_open()
            now = self.ambient.now()
            if now < invitation.mail_asked_at + MAILS_APART:
                raise InvitationJustSent
            renewed = replace(
                invitation,
                generation=invitation.generation + 1,
                expires_at=now + GOOD_FOR,
                mail_asked_at=now,
                mail_due_at=now,
            )
            await store.renew(renewed, self._hash(renewed))
            await _record(session, RESENT, renewed, self.ambient)
            after_commit(session, self.mail_asked.set)
            return await call.answer(session, respond(renewed))

    async def revoke(self, org_id: uuid.UUID, invitation_id: uuid.UUID) -> Invitation:
        """Take an invitation back; one that was taken back is given as it is.

        Raises:
            InvitationNotFound: the organization has no such invitation.
            InvitationOver: it was accepted or declined.
        """
        async with self.sessions.begin() as session:
            await MemberStore(session).lock(org_id)
            store = InvitationStore(session)
            invitation = await store.find(org_id, invitation_id)
            if invitation is None:
                raise InvitationNotFound
            if invitation.state is State.PENDING:
                await _record(session, REVOKED, invitation, self.ambient)
            return await _end(store, invitation, State.REVOKED)

    async def accept(self, token: str, user_id: uuid.UUID) -> Invitation:
        """Make the user a member; the same user may do it again while they are one.

        Raises:
            InvitationNotFound: the token is of no invitation's newest mail.
            InvitationOver: the invitation was answered otherwise, or revoked.
            InvitationExpired: its time is over.
            AlreadyMember: the user belongs to the organization.
        """
        async with self.sessions.begin() as session:
            invitation = await _locked_by_token(session, token)
            members = MemberStore(session)
            joined = await members.find(invitation.org_id, user_id) is not None
            if joined and invitation.accepted_by == user_id:
                return invitation
            now = self.ambient.now()
            invitation.check_good(now)
            if joined:
                raise AlreadyMember
            member = Member(user_id, invitation.role, now)
            await members.add(invitation.org_id, member, self.ambient)
            store = InvitationStore(session)
            await store.end(invitation.id, State.ACCEPTED, accepted_by=user_id)
        return replace(invitation, state=State.ACCEPTED, accepted_by=user_id)

    async def decline(self, token: str) -> None:
        """End an invitation without joining; harmless when done twice.

        Raises:
            InvitationNotFound: the token is of no invitation's newest mail.
            InvitationOver: the invitation was accepted or revoked.
        """
        async with self.sessions.begin() as session:
            invitation = await _locked_by_token(session, token)
            await _end(InvitationStore(session), invitation, State.DECLINED)

    def _hash(self, invitation: Invitation) -> bytes:
        return token_hash(tokens_of(self.peppers, invitation.id, invitation.generation)[0])


async def _check_actor(
    session: AsyncSession, org_id: uuid.UUID, actor_id: uuid.UUID, role: Role
) -> None:
    """Lock the organization and hold the actor to the role that they have in it."""
    members = MemberStore(session)
    organization = await members.lock(org_id)
    actor = await members.find(org_id, actor_id)
    if organization is None or actor is None:
        raise OrganizationNotFound
    check_reach(actor.role, role)


async def _record(
    session: AsyncSession, action: str, invitation: Invitation, ambient: Ambient
) -> None:
    """Write into the audit log what happened to an invitation; its address stays out of it."""
    change = Change(
        action,
        invitation.org_id,
        target_ids=(format_id("inv", invitation.id),),
        details={"role": invitation.role.value},
    )
    await record(session, change, ambient)


async def _end(store: InvitationStore, invitation: Invitation, state: State) -> Invitation:
    if invitation.state is state:
        return invitation
    if invitation.state is not State.PENDING:
        raise InvitationOver(invitation.state)
    await store.end(invitation.id, state)
    return replace(invitation, state=state, mail_due_at=None)


async def _locked_by_token(session: AsyncSession, token: str) -> Invitation:
    hashed = token_hash(token)
    store = InvitationStore(session)
    found = await store.by_token(hashed)
    if found is None:
        raise InvitationNotFound
    await MemberStore(session).lock(found.org_id)
    session.expire_all()
    # Read again under the lock: it may have been answered, revoked or renewed meanwhile.
    locked = await store.by_token(hashed)
    if locked is None:
        raise InvitationNotFound
    return locked
