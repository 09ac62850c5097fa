"""OrganizationsService through a real server on a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import grpc
import pytest
import sqlalchemy as sa
from reelmesh.platform.identity.v1 import identity_events_pb2 as identity_events
from reelmesh.platform.organizations.v1 import organizations_events_pb2 as events
from reelmesh.platform.organizations.v1 import organizations_service_pb2 as pb
from reelmesh.platform.organizations.v1.organizations_service_pb2_grpc import (
    OrganizationsServiceStub,
)

from meshkit.ids import format_id
from meshkit.inbox import Event
from meshkit.migrations import drift
from meshkit.outbox import outbox_table
from meshkit.postgres import Database
from meshkit.testing.identity import USER
from platform_svc.organizations.jobs import USER_SIGNED_UP, PersonalOrganizations
from platform_svc.organizations.membership import Role
from platform_svc.organizations.store import ORGANIZATION_CREATED
from platform_svc.organizations.tables import Base, MembershipRow, OrganizationRow, RoleRow
from tests.platform_svc.refusals import Refusal, read_refusal, refusal_of

ORG_ID = format_id("org", USER.organization_id)
USER_ID = format_id("usr", USER.user_id)
STRANGER = replace(USER, user_id=UUID(int=8), organization_id=UUID(int=9))
STRANGER_ORG_ID = format_id("org", STRANGER.organization_id)
STRANGER_ID = format_id("usr", STRANGER.user_id)
EXISTS = Refusal(grpc.StatusCode.ALREADY_EXISTS, "ORGANIZATION_EXISTS", {})
NOT_FOUND = Refusal(grpc.StatusCode.NOT_FOUND, "ORGANIZATION_NOT_FOUND", {})


def ensure(**changes: str) -> pb.EnsurePersonalOrganizationRequest:
    fields = {"org_id": ORG_ID, "user_id": USER_ID, "name": "Ada"}
    return pb.EnsurePersonalOrganizationRequest(**(fields | changes))


async def announced(database: Database) -> list[events.OrganizationCreated]:
    outbox = outbox_table("organizations")
    query = sa.select(outbox.c.payload).where(outbox.c.subject == ORGANIZATION_CREATED)
    async with database.sessions() as session:
        payloads = await session.scalars(query.order_by(outbox.c.position))
        return [events.OrganizationCreated.FromString(payload) for payload in payloads]


async def test_migrations_agree_with_the_tables(database) -> None:
    assert await drift(database.url, Base.metadata) == []


async def test_the_roles_are_there(database) -> None:
    async with database.sessions() as session:
        names = (await session.scalars(sa.select(RoleRow.name).order_by(RoleRow.rank))).all()
    assert names == list(Role)


async def test_a_personal_organization_is_made_once(platform, database, clock) -> None:
    made = await platform.EnsurePersonalOrganization(ensure())
    assert (made.org_id, made.name, made.kind, made.role) == (ORG_ID, "Ada", "personal", "owner")
    assert made.created_at.seconds == int(clock.now().timestamp())
    clock.advance(seconds=60)
    assert await platform.EnsurePersonalOrganization(ensure(name="renamed")) == made
    assert await announced(database) == [
        events.OrganizationCreated(org_id=ORG_ID, kind="personal", owner_user_id=USER_ID)
    ]


async def test_an_id_belongs_to_its_owner(platform, database) -> None:
    await platform.EnsurePersonalOrganization(ensure())
    for other in (ensure(user_id=STRANGER_ID), ensure(org_id=STRANGER_ORG_ID)):
        assert await refusal_of(platform.EnsurePersonalOrganization(other)) == EXISTS
    assert len(await announced(database)) == 1


async def test_a_member_who_is_not_the_owner_does_not_get_it(platform, database, clock) -> None:
    await platform.EnsurePersonalOrganization(ensure())
    async with database.sessions.begin() as session:
        session.add(
            MembershipRow(
                org_id=USER.organization_id,
                user_id=STRANGER.user_id,
                role="viewer",
                joined_at=clock.now(),
            )
        )
    other = ensure(user_id=STRANGER_ID)
    assert await refusal_of(platform.EnsurePersonalOrganization(other)) == EXISTS


async def test_calls_at_once_make_one_organization(platform, database) -> None:
    made = await asyncio.gather(*(platform.EnsurePersonalOrganization(ensure()) for _ in range(8)))
    assert len({organization.SerializeToString() for organization in made}) == 1
    assert len(await announced(database)) == 1


async def test_two_users_that_race_for_an_id_get_one_owner(platform, database) -> None:
    results = await asyncio.gather(
        *(platform.EnsurePersonalOrganization(ensure(user_id=u)) for u in (USER_ID, STRANGER_ID)),
        return_exceptions=True,
    )
    (refused,) = [result for result in results if isinstance(result, Exception)]
    assert read_refusal(refused) == EXISTS
    assert len(await announced(database)) == 1


@pytest.mark.parametrize(
    "changes", [{"org_id": USER_ID}, {"user_id": "usr_1"}, {"name": ""}, {"name": "x" * 81}]
)
async def test_bad_fields_are_refused(platform, database, changes) -> None:
    refusal = await refusal_of(platform.EnsurePersonalOrganization(ensure(**changes)))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert await announced(database) == []


async def test_only_the_platform_makes_organizations(mesh, user) -> None:
    async with mesh.as_service(OrganizationsServiceStub, "business") as business:
        for stub in (business, user):
            refusal = await refusal_of(stub.EnsurePersonalOrganization(ensure()))
            assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    async with mesh.as_anyone(OrganizationsServiceStub) as anyone:
        for call in (
            anyone.EnsurePersonalOrganization(ensure()),
            anyone.ListOrganizations(pb.ListOrganizationsRequest()),
            anyone.GetOrganization(pb.GetOrganizationRequest(org_id=ORG_ID)),
        ):
            assert (await refusal_of(call)).code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_user_sees_their_organization(platform, user) -> None:
    assert await user.ListOrganizations(pb.ListOrganizationsRequest()) == (
        pb.ListOrganizationsResponse()
    )
    request = pb.GetOrganizationRequest(org_id=ORG_ID)
    assert await refusal_of(user.GetOrganization(request)) == NOT_FOUND
    made = await platform.EnsurePersonalOrganization(ensure())
    assert await user.GetOrganization(request) == made
    assert await user.ListOrganizations(pb.ListOrganizationsRequest()) == (
        pb.ListOrganizationsResponse(orgs=[made])
    )


async def test_a_stranger_cannot_tell_whether_an_organization_exists(mesh, platform) -> None:
    await platform.EnsurePersonalOrganization(ensure())
    missing = pb.GetOrganizationRequest(org_id=format_id("org", UUID(int=99)))
    existing = pb.GetOrganizationRequest(org_id=ORG_ID)
    async with mesh.as_user(OrganizationsServiceStub, STRANGER) as stranger:
        first = await refusal_of(stranger.GetOrganization(existing))
        assert first == await refusal_of(stranger.GetOrganization(missing))
        assert first.code is grpc.StatusCode.PERMISSION_DENIED
        assert not (await stranger.ListOrganizations(pb.ListOrganizationsRequest())).orgs
    # A token for the organization is not enough without a membership.
    impostor = replace(USER, user_id=STRANGER.user_id)
    async with mesh.as_user(OrganizationsServiceStub, impostor) as stub:
        assert await refusal_of(stub.GetOrganization(existing)) == NOT_FOUND


async def test_the_list_comes_in_pages_oldest_first(database, user, clock) -> None:
    for number in range(5):
        async with database.sessions.begin() as session:
            session.add(
                OrganizationRow(
                    id=UUID(int=number), name=f"Team {number}", kind="team", created_at=clock.now()
                )
            )
            await session.flush()
            session.add(
                MembershipRow(
                    org_id=UUID(int=number),
                    user_id=USER.user_id,
                    role="member",
                    joined_at=clock.now(),
                )
            )
        # Two join at the same moment each time, so that the id must decide.
        clock.advance(seconds=number % 2)
    seen, request = [], pb.ListOrganizationsRequest(page_size=2)
    while True:
        page = await user.ListOrganizations(request)
        assert len(page.orgs) <= 2
        seen += [(org.name, org.kind, org.role) for org in page.orgs]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [(f"Team {number}", "team", "member") for number in range(5)]
    request.page_token = "made up"
    assert (await refusal_of(user.ListOrganizations(request))).reason == "INVALID_PAGE_TOKEN"


async def test_the_event_of_a_user_makes_the_organization_once(
    commands, platform, user, database
) -> None:
    job = PersonalOrganizations(commands)
    signed_up = identity_events.UserSignedUp(
        user_id=USER_ID, personal_org_id=ORG_ID, display_name="Ada"
    )
    event = Event(UUID(int=1), USER_SIGNED_UP, signed_up.SerializeToString(), delivery=1)
    await job.handle(event)
    await job.handle(event)
    made = await user.GetOrganization(pb.GetOrganizationRequest(org_id=ORG_ID))
    assert await platform.EnsurePersonalOrganization(ensure()) == made
    assert len(await announced(database)) == 1
