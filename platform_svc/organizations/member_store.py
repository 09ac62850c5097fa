"""SQL of memberships, with the events that go with them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reelmesh.platform.organizations.v1 import organizations_events_pb2 as events
from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from meshkit.audit import Change, record
from meshkit.clock import Ambient
from meshkit.ids import format_id
from meshkit.notices import Notice, raise_notice
from meshkit.outbox import add_event
from platform_svc.organizations.membership import Member, Organization, Role
from platform_svc.organizations.tables import MembershipRow, OrganizationRow

MEMBERSHIP_CHANGED: Final = "reelmesh.platform.organizations.membership_changed"
MEMBER_JOINED: Final = "member.joined"
ROLE_CHANGED: Final = "member.role_changed"
MEMBER_REMOVED: Final = "member.removed"
TITLES: Final = {
    MEMBER_JOINED: "A new {role} has joined the organization",
    ROLE_CHANGED: "Your role in an organization is {role} now",
    MEMBER_REMOVED: "You do not belong to an organization any more",
}
# A user's personal organization bears the name that they gave at sign-up.
PERSONAL = aliased(OrganizationRow)


@dataclass(frozen=True, slots=True)
class MemberStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def lock(self, org_id: uuid.UUID) -> Organization | None:
        """Return the organization; changes of its members wait until the transaction ends."""
        row = await self.session.get(OrganizationRow, org_id, with_for_update=True)
        return None if row is None else Organization(row.id, row.name, row.personal_user_id)

    async def find(self, org_id: uuid.UUID, user_id: uuid.UUID) -> Member | None:
        """Return a user's part in an organization, if they have one."""
        row = await self.session.get(MembershipRow, (org_id, user_id), populate_existing=True)
        return None if row is None else _member(row)

    async def page(
        self, org_id: uuid.UUID, *, after: tuple[datetime, uuid.UUID] | None, count: int
    ) -> list[Member]:
        """Return up to `count` members, with their names, in the order of joining."""
        place = (MembershipRow.joined_at, MembershipRow.user_id)
        query = (
            select(MembershipRow, PERSONAL.name)
            .outerjoin(PERSONAL, PERSONAL.personal_user_id == MembershipRow.user_id)
            .where(MembershipRow.org_id == org_id)
            .order_by(*place)
            .limit(count)
        )
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(*after))
        rows = await self.session.execute(query)
        return [replace(_member(row), name=name or "") for row, name in rows]

    async def owners(self, org_id: uuid.UUID) -> int:
        """Return how many owners an organization has."""
        query = select(func.count()).where(
            MembershipRow.org_id == org_id, MembershipRow.role == Role.OWNER
        )
        return await self.session.scalar(query) or 0

    async def owned(self, user_id: uuid.UUID) -> int:
        """Return how many organizations a user owns."""
        query = select(func.count()).where(
            MembershipRow.user_id == user_id, MembershipRow.role == Role.OWNER
        )
        return await self.session.scalar(query) or 0

    async def add(self, org_id: uuid.UUID, member: Member, ambient: Ambient) -> None:
        """Keep a new member and tell other services."""
        self.session.add(
            MembershipRow(
                org_id=org_id,
                user_id=member.user_id,
                role=member.role,
                joined_at=member.joined_at,
            )
        )
        await self._announce(org_id, member.user_id, member.role, ambient)
        await self._record(MEMBER_JOINED, org_id, member.user_id, member.role, ambient)

    async def change(
        self, org_id: uuid.UUID, user_id: uuid.UUID, role: Role, ambient: Ambient
    ) -> None:
        """Give a member another role and tell other services."""
        await self.session.execute(
            update(MembershipRow)
            .where(MembershipRow.org_id == org_id, MembershipRow.user_id == user_id)
            .values(role=role)
        )
        await self._announce(org_id, user_id, role, ambient)
        await self._record(ROLE_CHANGED, org_id, user_id, role, ambient)

    async def remove(self, org_id: uuid.UUID, user_id: uuid.UUID, ambient: Ambient) -> None:
        """End a membership and tell other services."""
        await self.session.execute(
            delete(MembershipRow).where(
                MembershipRow.org_id == org_id, MembershipRow.user_id == user_id
            )
        )
        await self._announce(org_id, user_id, None, ambient)
        await self._record(MEMBER_REMOVED, org_id, user_id, None, ambient)

    async def _announce(
        self, org_id: uuid.UUID, user_id: uuid.UUID, role: Role | None, ambient: Ambient
    ) -> None:
        message = events.MembershipChanged(
            org_id=format_id("org", org_id),
            user_id=format_id("usr", user_id),
            role="" if role is None else role.value,
        )
        await add_event(
            self.session,
            MEMBERSHIP_CHANGED,
            message,
            event_id=ambient.new_id(),
            now=ambient.now(),
        )

    async def _record(
        self,
        action: str,
        org_id: uuid.UUID,
        user_id: uuid.UUID,
        role: Role | None,
        ambient: Ambient,
    ) -> None:
        """Write the change into the audit log, and let the member and webhooks hear of it."""
        member = format_id("usr", user_id)
        details = {} if role is None else {"role": role.value}
        await record(self.session, Change(action, org_id, (member,), details), ambient)
        title = TITLES[action].format(role=None if role is None else role.value)
        notice = Notice(
            action,
            org_id,
            title,
            subject_id=format_id("org", org_id),
            user_ids=() if action == MEMBER_JOINED else (user_id,),
            data={"org_id": format_id("org", org_id), "user_id": member, **details},
        )
        await raise_notice(self.session, notice, ambient)


def _member(row: MembershipRow) -> Member:
    return Member(row.user_id, Role(row.role), row.joined_at)
