"""All SQL of the organizations service, with the events that go with it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from reelmesh.platform.organizations.v1 import organizations_events_pb2 as events
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.audit import Change, record
from meshkit.clock import Ambient
from meshkit.ids import format_id
from meshkit.outbox import add_event
from platform_svc.organizations.membership import (
    Membership,
    OrganizationKind,
    PersonalOrganization,
    Role,
)
from platform_svc.organizations.tables import MembershipRow, OrganizationRow

ORGANIZATION_CREATED = "reelmesh.platform.organizations.organization_created"
ORGANIZATION_ENTRY = "organization.created"


@dataclass(frozen=True, slots=True)
class Joined:
    """A membership with its place in the list of the member's organizations."""

    membership: Membership
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class OrganizationStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def add_personal(self, wanted: PersonalOrganization, *, now: datetime) -> bool:
        """Keep a personal organization with its owner; False if id or user have one already."""
        added = await self.session.scalar(
            insert(OrganizationRow)
            .values(
                id=wanted.org_id,
                name=wanted.name,
                kind=OrganizationKind.PERSONAL,
                personal_user_id=wanted.user_id,
                created_at=now,
            )
            .on_conflict_do_nothing()
            .returning(OrganizationRow.id)
        )
        if added is None:
            return False
        self.session.add(
            MembershipRow(
                org_id=wanted.org_id, user_id=wanted.user_id, role=Role.OWNER, joined_at=now
            )
        )
        return True

    async def lock_creation(self, user_id: uuid.UUID) -> None:
        """Let a user make one organization at a time, so that the count of them is right."""
        await self.session.execute(
            select(func.pg_advisory_xact_lock(func.hashtext(f"organizations:{user_id}")))
        )

    async def add_team(self, made: Membership) -> None:
        """Keep a team's organization, without members yet."""
        self.session.add(
            OrganizationRow(
                id=made.org_id,
                name=made.name,
                kind=made.kind,
                personal_user_id=None,
                created_at=made.created_at,
            )
        )
        await self.session.flush()  # The membership that follows refers to it.

    async def announce(self, made: Membership, owner_id: uuid.UUID, ambient: Ambient) -> None:
        """Tell other services, and the audit log, that the organization exists."""
        event_id = ambient.new_id()
        message = events.OrganizationCreated(
            org_id=format_id("org", made.org_id),
            kind=made.kind,
            owner_user_id=format_id("usr", owner_id),
        )
        await add_event(
            self.session, ORGANIZATION_CREATED, message, event_id=event_id, now=made.created_at
        )
        change = Change(
            ORGANIZATION_ENTRY,
            made.org_id,
            target_ids=(message.org_id,),
            details={"kind": made.kind},
            user_id=owner_id,
        )
        await record(self.session, change, ambient)

    async def membership(self, org_id: uuid.UUID, user_id: uuid.UUID) -> Membership | None:
        """Return an organization as the user sees it, if they belong to it."""
        query = _memberships(user_id).where(OrganizationRow.id == org_id)
        found = (await self.session.execute(query)).one_or_none()
        return None if found is None else _joined(found[0], found[1]).membership

    async def memberships(
        self, user_id: uuid.UUID, *, after: tuple[datetime, uuid.UUID] | None, count: int
    ) -> list[Joined]:
        """Return up to `count` of the user's organizations, in the order of joining."""
        place = (MembershipRow.joined_at, MembershipRow.org_id)
        query = _memberships(user_id).order_by(*place).limit(count)
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(*after))
        rows = await self.session.execute(query)
        return [_joined(organization, membership) for organization, membership in rows]


def _memberships(user_id: uuid.UUID) -> Select[OrganizationRow, MembershipRow]:
    return (
        select(OrganizationRow, MembershipRow)
        .join(MembershipRow, MembershipRow.org_id == OrganizationRow.id)
        .where(MembershipRow.user_id == user_id)
    )


def _joined(organization: OrganizationRow, membership: MembershipRow) -> Joined:
    return Joined(
        Membership(
            org_id=organization.id,
            name=organization.name,
            kind=OrganizationKind(organization.kind),
            role=Role(membership.role),
            created_at=organization.created_at,
        ),
        joined_at=membership.joined_at,
    )
