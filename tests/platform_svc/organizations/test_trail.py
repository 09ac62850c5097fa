"""What organizations put into their audit logs, and whom they tell."""

from __future__ import annotations

from reelmesh.platform.organizations.v1 import invitations_service_pb2 as invitations_pb
from reelmesh.platform.organizations.v1 import members_service_pb2 as pb

from tests.platform_svc.refusals import refusal_of
from tests.platform_svc.trail import changes_in, notices_in

from .people import public_id


async def test_every_change_of_members_has_its_entry(people, database) -> None:
    org_id = await people.found("ada")
    await people.join(database, bob="member")
    ids = {"org_id": org_id, "user_id": public_id("bob")}
    change = pb.ChangeMemberRoleRequest(**ids, role="admin")
    for _ in range(2):
        await people.members.ChangeMemberRole(change, **people.calls("ada"))
    await people.members.RemoveMember(pb.RemoveMemberRequest(**ids), **people.calls("ada"))
    entries = await changes_in(database)
    # Founding joins the founder first.
    assert [(one.action, one.details.get("role", "")) for one in entries] == [
        ("member.joined", "owner"),
        ("organization.created", ""),
        ("member.role_changed", "admin"),
        ("member.removed", ""),
    ]
    assert {one.org_id for one in entries} == {org_id}
    assert {one.actor_id for one in entries} == {public_id("ada")}
    assert [list(one.target_ids) for one in entries[2:]] == [[public_id("bob")]] * 2


async def test_a_refused_change_has_no_entry(people, database) -> None:
    org_id = await people.found("ada")
    before = await changes_in(database)
    leave = pb.LeaveOrganizationRequest(org_id=org_id)
    call = people.members.LeaveOrganization(leave, **people.calls("ada"))
    assert (await refusal_of(call)).reason == "LAST_OWNER"
    assert await changes_in(database) == before


async def test_a_member_hears_of_their_new_role_and_of_their_end(people, database) -> None:
    org_id = await people.found("ada")
    await people.join(database, bob="member")
    ids = {"org_id": org_id, "user_id": public_id("bob")}
    change = pb.ChangeMemberRoleRequest(**ids, role="viewer")
    await people.members.ChangeMemberRole(change, **people.calls("ada"))
    await people.members.RemoveMember(pb.RemoveMemberRequest(**ids), **people.calls("ada"))
    told = [(one.type, list(one.user_ids)) for one in await notices_in(database)]
    assert told == [
        ("member.joined", []),
        ("member.role_changed", [public_id("bob")]),
        ("member.removed", [public_id("bob")]),
    ]


async def test_invitations_are_logged_without_the_address(people, database) -> None:
    org_id = await people.found("ada")
    request = invitations_pb.CreateInvitationRequest(
        org_id=org_id, email="guest@example.com", role="viewer"
    )
    made = await people.invitations.CreateInvitation(request, **people.calls("ada"))
    revoke = invitations_pb.RevokeInvitationRequest(org_id=org_id, invitation_id=made.invitation_id)
    for _ in range(2):
        await people.invitations.RevokeInvitation(revoke, **people.calls("ada"))
    entries = (await changes_in(database))[2:]
    assert [one.action for one in entries] == ["invitation.created", "invitation.revoked"]
    assert "guest" not in str(entries)
