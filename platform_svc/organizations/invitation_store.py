"""SQL of invitations."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from platform_svc.organizations.invitation import Invitation, State
from platform_svc.organizations.membership import Role
from platform_svc.organizations.tables import InvitationRow, OrganizationRow

# A user's personal organization bears the name that they gave at sign-up.
PERSONAL = aliased(OrganizationRow)


@dataclass(frozen=True, slots=True)
class DueMail:
    """An invitation whose mail is to be tried, with what the mail says."""

    invitation: Invitation
    organization: str
    inviter: str | None
    token_hash: bytes
    attempts: int


@dataclass(frozen=True, slots=True)
class InvitationStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def add(self, invitation: Invitation, token_hash: bytes) -> None:
        """Keep a new invitation; the caller holds the organization's lock."""
        self.session.add(
            InvitationRow(
                id=invitation.id,
                org_id=invitation.org_id,
                email=invitation.email,
                role=invitation.role,
                state=invitation.state,
                generation=invitation.generation,
                token_hash=token_hash,
                invited_by=invitation.invited_by,
                accepted_by=None,
                created_at=invitation.created_at,
                expires_at=invitation.expires_at,
                mail_asked_at=invitation.mail_asked_at,
                mail_due_at=invitation.mail_due_at,
                mail_attempts=0,
            )
        )
        await self.session.flush()  # The answer that follows must not be kept without it.

    async def find(self, org_id: uuid.UUID, invitation_id: uuid.UUID) -> Invitation | None:
        """Return an invitation of the organization, holding its row lock."""
        row = await self.session.get(InvitationRow, invitation_id, with_for_update=True)
        return None if row is None or row.org_id != org_id else _invitation(row)

    async def by_token(self, token_hash: bytes) -> Invitation | None:
        """Return the invitation that a token is for, without a lock."""
        query = select(InvitationRow).where(InvitationRow.token_hash == token_hash)
        row = await self.session.scalar(query)
        return None if row is None else _invitation(row)

    async def open_for(self, org_id: uuid.UUID, email: str) -> Invitation | None:
        """Return the pending invitation of an address, if there is one."""
        query = select(InvitationRow).where(
            InvitationRow.org_id == org_id,
            InvitationRow.email == email,
            InvitationRow.state == State.PENDING,
        )
        row = await self.session.scalar(query)
        return None if row is None else _invitation(row)

    async def open_count(self, org_id: uuid.UUID, now: datetime) -> int:
        """Return how many invitations may still be accepted."""
        query = select(func.count()).where(
            InvitationRow.org_id == org_id,
            InvitationRow.state == State.PENDING,
            InvitationRow.expires_at > now,
        )
        return await self.session.scalar(query) or 0

    async def page(
        self, org_id: uuid.UUID, *, before: tuple[datetime, uuid.UUID] | None, count: int
    ) -> list[Invitation]:
        """Return up to `count` invitations, newest first."""
        place = (InvitationRow.created_at, InvitationRow.id)
        query = (
            select(InvitationRow)
            .where(InvitationRow.org_id == org_id)
            .order_by(*(column.desc() for column in place))
            .limit(count)
        )
        if before is not None:
            query = query.where(tuple_(*place) < tuple_(*before))
        return [_invitation(row) for row in await self.session.scalars(query)]

    async def end(
        self, invitation_id: uuid.UUID, state: State, *, accepted_by: uuid.UUID | None = None
    ) -> None:
        """End an invitation; a mail that has not left is not sent any more."""
        await self.session.execute(
            update(InvitationRow)
            .where(InvitationRow.id == invitation_id)
            .values(state=state, accepted_by=accepted_by, mail_due_at=None)
        )

    async def renew(self, invitation: Invitation, token_hash: bytes) -> None:
        """Store an invitation's new generation, whose mail is due."""
        await self.session.execute(
            update(InvitationRow)
            .where(InvitationRow.id == invitation.id)
            .values(
                generation=invitation.generation,
                token_hash=token_hash,
                expires_at=invitation.expires_at,
                mail_asked_at=invitation.mail_asked_at,
                mail_due_at=invitation.mail_due_at,
                mail_attempts=0,
            )
        )

    async def claim_mails(self, now: datetime, *, lease: timedelta, count: int) -> list[DueMail]:
        """Return mails that are due; nobody else gets them before the lease is over."""
        rows = await self.session.execute(
            select(InvitationRow, OrganizationRow.name, PERSONAL.name)
            .join(OrganizationRow, OrganizationRow.id == InvitationRow.org_id)
            .outerjoin(PERSONAL, PERSONAL.personal_user_id == InvitationRow.invited_by)
            .where(InvitationRow.mail_due_at <= now, InvitationRow.expires_at > now)
            .order_by(InvitationRow.mail_due_at)
            .limit(count)
            .with_for_update(of=InvitationRow, skip_locked=True)
        )
        due = []
        for row, organization, inviter in rows:
            row.mail_due_at = now + lease
            row.mail_attempts += 1
            due.append(
                DueMail(_invitation(row), organization, inviter, row.token_hash, row.mail_attempts)
            )
        return due

    async def mail_left(self, invitation: Invitation) -> None:
        """Note that the mail of this generation has left."""
        await self._reschedule(invitation, None)

    async def mail_again_at(self, invitation: Invitation, when: datetime) -> None:
        """Try the mail of this generation again at a time."""
        await self._reschedule(invitation, when)

    async def _reschedule(self, invitation: Invitation, when: datetime | None) -> None:
        await self.session.execute(
            update(InvitationRow)
            .where(
                InvitationRow.id == invitation.id,
                # A newer mail, or an answer, has been asked for or given meanwhile.
                InvitationRow.generation == invitation.generation,
                InvitationRow.state == State.PENDING,
            )
            .values(mail_due_at=when)
        )


def _invitation(row: InvitationRow) -> Invitation:
    return Invitation(
        id=row.id,
        org_id=row.org_id,
        email=row.email,
        role=Role(row.role),
        state=State(row.state),
        generation=row.generation,
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        mail_asked_at=row.mail_asked_at,
        accepted_by=row.accepted_by,
        mail_due_at=row.mail_due_at,
    )
