"""Members: roles, who may change them, leaving, and the ownership."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import grpc
import pytest
import sqlalchemy as sa
from reelmesh.platform.organizations.v1 import members_service_pb2 as pb
from reelmesh.platform.organizations.v1 import organizations_events_pb2 as events
from reelmesh.platform.organizations.v1 import organizations_service_pb2 as organizations_pb
from reelmesh.platform.organizations.v1.members_service_pb2_grpc import MembersServiceStub

from meshkit.ids import format_id
from meshkit.outbox import outbox_table
from platform_svc.organizations import commands as organization_commands
from platform_svc.organizations.member_store import MEMBERSHIP_CHANGED
from platform_svc.organizations.membership import PersonalOrganization, Role
from platform_svc.organizations.permissions import PERMISSIONS
from tests.platform_svc.refusals import read_refusal, refusal_of

from .people import People, public_id, user_id

LAST_OWNER = (grpc.StatusCode.FAILED_PRECONDITION, "LAST_OWNER")
TOO_HIGH = (grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_HIGH")


@pytest.fixture
async def team(people: People, database) -> People:
    """Ada owns it, Bob is an admin, Cyd a member."""
    await people.found("ada")
    await people.join(database, bob="admin", cyd="member")
    return people


def change(team: People, actor: str, name: str, role: str):
    request = pb.ChangeMemberRoleRequest(org_id=team.org_id, user_id=public_id(name), role=role)
    return team.members.ChangeMemberRole(request, **team.calls(actor))


def remove(team: People, actor: str, name: str):
    request = pb.RemoveMemberRequest(org_id=team.org_id, user_id=public_id(name))
    return team.members.RemoveMember(request, **team.calls(actor))


def leave(team: People, name: str):
    request = pb.LeaveOrganizationRequest(org_id=team.org_id)
    return team.members.LeaveOrganization(request, **team.calls(name))


def transfer(team: People, owner: str, heir: str, **options: str):
    request = pb.TransferOwnershipRequest(org_id=team.org_id, user_id=public_id(heir))
    return team.members.TransferOwnership(request, **team.calls(owner, **options))


async def why(call) -> tuple[grpc.StatusCode, str]:
    refusal = await refusal_of(call)
    return refusal.code, refusal.reason


async def test_the_founder_owns_a_new_organization(people, database) -> None:
    org_id = await people.found("ada")
    listed = await people.organizations.ListOrganizations(
        organizations_pb.ListOrganizationsRequest(), **people.calls("ada")
    )
    assert [(one.org_id, one.name, one.kind, one.role) for one in listed.orgs] == [
        (org_id, "Team", "team", "owner")
    ]
    assert await people.roles() == {"ada": "owner"}
    assert await announced(database) == [(public_id("ada"), "owner")]


async def test_a_repeated_key_makes_one_organization(people) -> None:
    request = organizations_pb.CreateOrganizationRequest(name="Team")
    calls = [
        people.organizations.CreateOrganization(request, **people.calls("ada", key="k"))
        for _ in range(4)
    ]
    assert len({made.org_id for made in await asyncio.gather(*calls)}) == 1
    other = organizations_pb.CreateOrganizationRequest(name="Other")
    call = people.organizations.CreateOrganization(other, **people.calls("ada", key="k"))
    assert await why(call) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")


async def test_nobody_owns_too_many_organizations(people, monkeypatch) -> None:
    monkeypatch.setattr(organization_commands, "OWNED_MAX", 2)
    results = await asyncio.gather(*(people.found("ada") for _ in range(4)), return_exceptions=True)
    refused = [read_refusal(one).reason for one in results if isinstance(one, Exception)]
    assert refused == ["TOO_MANY_ORGANIZATIONS"] * 2
    await people.found("bob")


async def test_members_are_listed_in_pages_with_their_names(team, commands) -> None:
    wanted = PersonalOrganization(user_id("cyd"), user_id("cyd"), "Cyd the First")
    await commands.ensure_personal(wanted)
    seen, request = [], pb.ListMembersRequest(org_id=team.org_id, page_size=2)
    while True:
        page = await team.members.ListMembers(request, **team.calls("cyd"))
        seen += [(member.user_id, member.display_name) for member in page.members]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [
        (public_id("ada"), ""),
        (public_id("bob"), ""),
        (public_id("cyd"), "Cyd the First"),
    ]
    request.org_id = format_id("org", user_id("dot"))
    elsewhere = People(team.identity, None, team.members, None, org_id=request.org_id)
    call = elsewhere.members.ListMembers(request, **elsewhere.calls("ada"))
    assert (await refusal_of(call)).reason == "INVALID_PAGE_TOKEN"


async def test_an_owner_gives_any_role(team, database) -> None:
    for role in ("viewer", "admin", "owner", "member"):
        member = await change(team, "ada", "cyd", role)
        assert (member.user_id, member.role) == (public_id("cyd"), role)
        assert (await team.roles())["cyd"] == role
    await change(team, "ada", "cyd", "member")
    # The change that changed nothing is told to nobody.
    assert [role for who, role in await announced(database) if who == public_id("cyd")] == [
        "viewer",
        "admin",
        "owner",
        "member",
    ]


@pytest.mark.parametrize(("name", "role"), [("cyd", "owner"), ("ada", "viewer"), ("bob", "owner")])
async def test_an_admin_reaches_no_owner(team, name, role) -> None:
    before = await team.roles()
    assert await why(change(team, "bob", name, role)) == TOO_HIGH
    assert await team.roles() == before


async def test_an_admin_removes_members_but_no_owner(team) -> None:
    assert await why(remove(team, "bob", "ada")) == TOO_HIGH
    await remove(team, "bob", "cyd")
    await remove(team, "bob", "cyd")
    assert await team.roles() == {"ada": "owner", "bob": "admin"}


async def test_who_is_no_member_any_more_changes_nothing(team) -> None:
    # The servers may believe for seconds that Bob is an admin; the transaction does not.
    await remove(team, "ada", "bob")
    for call in (change(team, "bob", "cyd", "viewer"), remove(team, "bob", "cyd")):
        assert await why(call) == (grpc.StatusCode.NOT_FOUND, "ORGANIZATION_NOT_FOUND")
    assert (await team.roles())["cyd"] == "member"


async def test_a_stranger_is_no_member_to_change(team) -> None:
    call = change(team, "ada", "dot", "viewer")
    assert await why(call) == (grpc.StatusCode.NOT_FOUND, "MEMBER_NOT_FOUND")


async def test_the_last_owner_stays(team) -> None:
    for call in (
        change(team, "ada", "ada", "admin"),
        leave(team, "ada"),
        remove(team, "ada", "ada"),
    ):
        assert await why(call) == LAST_OWNER
    await change(team, "ada", "bob", "owner")
    await leave(team, "ada")
    assert await team.roles("bob") == {"bob": "owner", "cyd": "member"}
    assert await why(leave(team, "bob")) == LAST_OWNER


async def test_two_owners_who_leave_at_once_leave_one(team) -> None:
    await change(team, "ada", "bob", "owner")
    results = await asyncio.gather(leave(team, "ada"), leave(team, "bob"), return_exceptions=True)
    (refused,) = [result for result in results if isinstance(result, Exception)]
    assert read_refusal(refused).reason == "LAST_OWNER"
    assert list((await team.roles("cyd")).values()).count("owner") == 1


async def test_anybody_else_leaves(team) -> None:
    await leave(team, "cyd")
    await leave(team, "cyd")
    assert "cyd" not in await team.roles()


async def test_ownership_passes_on(team) -> None:
    heir = await transfer(team, "ada", "cyd", key="once")
    assert (heir.user_id, heir.role) == (public_id("cyd"), "owner")
    assert await transfer(team, "ada", "cyd", key="once") == heir
    assert await team.roles() == {"ada": "admin", "bob": "admin", "cyd": "owner"}
    assert await why(transfer(team, "ada", "bob")) == TOO_HIGH


async def test_ownership_passes_to_another_member_only(team) -> None:
    own = (grpc.StatusCode.INVALID_ARGUMENT, "OWN_MEMBERSHIP")
    assert await why(transfer(team, "ada", "ada")) == own
    missing = (grpc.StatusCode.NOT_FOUND, "MEMBER_NOT_FOUND")
    assert await why(transfer(team, "ada", "dot")) == missing
    assert (await team.roles())["ada"] == "owner"


async def test_a_personal_organization_stays_with_its_user(people, commands, database) -> None:
    wanted = PersonalOrganization(user_id("dot"), user_id("ada"), "Ada")
    await commands.ensure_personal(wanted)
    people.org_id = format_id("org", wanted.org_id)
    await people.join(database, bob="owner")
    kept = (grpc.StatusCode.FAILED_PRECONDITION, "PERSONAL_ORGANIZATION")
    for call in (
        leave(people, "ada"),
        transfer(people, "ada", "bob"),
        change(people, "bob", "ada", "viewer"),
        remove(people, "bob", "ada"),
    ):
        assert await why(call) == kept
    await leave(people, "bob")
    assert await people.roles() == {"ada": "owner"}


async def test_roles_are_shown_with_what_they_may_do(team) -> None:
    listed = await team.members.ListRoles(
        pb.ListRolesRequest(org_id=team.org_id), **team.calls("cyd")
    )
    shown = {role.role: frozenset(role.permissions) for role in listed.roles}
    assert shown == PERMISSIONS
    # Each role may do what the roles below it may do.
    sets = list(PERMISSIONS.values())
    assert all(higher > lower for higher, lower in pairwise(sets))


async def test_services_learn_what_a_user_may_do(team, mesh) -> None:
    async def resolved(name: str) -> pb.ResolveMembershipResponse:
        request = pb.ResolveMembershipRequest(org_id=team.org_id, user_id=public_id(name))
        return await stub.ResolveMembership(request)

    async with mesh.as_service(MembersServiceStub, "inference") as stub:
        answer = await resolved("cyd")
        assert answer.role == "member"
        assert frozenset(answer.permissions) == PERMISSIONS[Role.MEMBER]
        assert await resolved("dot") == pb.ResolveMembershipResponse()
    request = pb.ResolveMembershipRequest(org_id=team.org_id, user_id=public_id("ada"))
    call = team.members.ResolveMembership(request, **team.calls("ada"))
    assert (await refusal_of(call)).reason == "CALLER_NOT_ALLOWED"


async def announced(database) -> list[tuple[str, str]]:
    outbox = outbox_table("organizations")
    query = sa.select(outbox.c.payload).where(outbox.c.subject == MEMBERSHIP_CHANGED)
    async with database.sessions() as session:
        payloads = await session.scalars(query.order_by(outbox.c.position))
        found = [events.MembershipChanged.FromString(payload) for payload in payloads]
    return [(one.user_id, one.role) for one in found]
