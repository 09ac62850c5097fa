"""Invitations from the mail to the membership, with notifications as a fake beside them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest
import sqlalchemy as sa
from reelmesh.platform.notifications.v1 import notifications_service_pb2 as mail_pb
from reelmesh.platform.organizations.v1 import invitations_service_pb2 as pb
from reelmesh.platform.organizations.v1 import members_service_pb2 as members_pb

from meshkit.errors import Unavailable
from meshkit.peppers import Peppers
from meshkit.testing.fakes import FakeServicer
from meshkit.testing.servers import serve
from platform_svc.organizations import invitation_commands as module
from platform_svc.organizations.invitation import GOOD_FOR
from platform_svc.organizations.jobs import InvitationMails
from platform_svc.organizations.membership import PersonalOrganization
from platform_svc.organizations.tables import InvitationRow
from tests.platform_svc.refusals import read_refusal, refusal_of

from .people import People, public_id, user_id

NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "INVITATION_NOT_FOUND")


@pytest.fixture
def notifications() -> FakeServicer:
    fake = FakeServicer("reelmesh.platform.notifications.v1.NotificationsService")
    fake.always("QueueMail", mail_pb.Mail(state="queued"))
    return fake


@pytest.fixture
async def mails(notifications, invitation_commands, identity):
    async with (
        serve(notifications.service(), identity=identity) as mesh,
        mesh.channel("platform") as channel,
    ):
        yield InvitationMails.over(channel, invitation_commands)


@pytest.fixture
async def team(people: People, database) -> People:
    """Ada owns it, Bob is an admin, Cyd a member; Dot is a stranger."""
    await people.found("ada")
    await people.join(database, bob="admin", cyd="member")
    return people


def invite(team: People, actor: str = "ada", **changes: str):
    fields = {"org_id": team.org_id, "email": "dot@example.com", "role": "member"} | changes
    key = fields.pop("key", None)
    return team.invitations.CreateInvitation(
        pb.CreateInvitationRequest(**fields), **team.calls(actor, key=key)
    )


def accept(team: People, token: str, name: str = "dot"):
    request = pb.AcceptInvitationRequest(token=token)
    return team.invitations.AcceptInvitation(request, **team.calls(name))


def decline(team: People, token: str):
    return team.invitations.DeclineInvitation(pb.DeclineInvitationRequest(token=token))


def resend(team: People, invitation: pb.Invitation, actor: str = "ada"):
    request = pb.ResendInvitationRequest(org_id=team.org_id, invitation_id=invitation.invitation_id)
    return team.invitations.ResendInvitation(request, **team.calls(actor))


def revoke(team: People, invitation: pb.Invitation, actor: str = "ada"):
    request = pb.RevokeInvitationRequest(org_id=team.org_id, invitation_id=invitation.invitation_id)
    return team.invitations.RevokeInvitation(request, **team.calls(actor))


async def listed(team: People) -> list[pb.Invitation]:
    request = pb.ListInvitationsRequest(org_id=team.org_id)
    answer = await team.invitations.ListInvitations(request, **team.calls("ada"))
    return list(answer.invitations)


async def mailed(mails: InvitationMails, notifications: FakeServicer) -> str:
    """Send what is due and give the token of the newest mail."""
    await mails.send_batch()
    return notifications.calls["QueueMail"][-1].parameters["code"]


async def why(call) -> tuple[grpc.StatusCode, str]:
    refusal = await refusal_of(call)
    return refusal.code, refusal.reason


async def test_an_invitation_becomes_a_membership(
    team, commands, mails, notifications, clock, database
) -> None:
    await commands.ensure_personal(
        PersonalOrganization(user_id("bob"), user_id("bob"), "Bob\n the  Builder")
    )
    made = await invite(team, "bob", email="Dot@Example.com")
    assert (made.email, made.role, made.state, made.mail_sent) == (
        "dot@example.com",
        "member",
        "pending",
        False,
    )
    assert made.invited_by == public_id("bob")
    token = await mailed(mails, notifications)
    mail = notifications.calls["QueueMail"][-1]
    assert (mail.template, mail.recipient) == ("organization-invitation", "dot@example.com")
    assert mail.idempotency_key == f"organization-invitation:{made.invitation_id}:1"
    assert mail.expires_at.seconds == int((clock.now() + GOOD_FOR).timestamp())
    assert {name: mail.parameters[name] for name in mail.parameters if name != "code"} == {
        "inviter_name": "Bob the Builder",
        "organization_name": "Team",
        "role": "member",
        "days": "7",
    }
    assert [one.mail_sent for one in await listed(team)] == [True]
    joined = await accept(team, token)
    assert (joined.org_id, joined.role) == (team.org_id, "member")
    assert (await team.roles())["dot"] == "member"
    assert [one.state for one in await listed(team)] == ["accepted"]
    assert await mails.send_batch() == 0
    async with database.sessions() as session:
        stored = (await session.execute(sa.select(InvitationRow.__table__))).one()
    assert token not in repr(stored)


async def test_a_token_is_good_once(team, mails, notifications) -> None:
    await invite(team)
    token = await mailed(mails, notifications)
    first = await accept(team, token)
    assert await accept(team, token) == first
    over = (grpc.StatusCode.FAILED_PRECONDITION, "INVITATION_OVER")
    assert await why(accept(team, token, "cyd")) == over
    assert await why(decline(team, token)) == over
    # Nor does it bring somebody back who has left.
    request = members_pb.LeaveOrganizationRequest(org_id=team.org_id)
    await team.members.LeaveOrganization(request, **team.calls("dot"))
    assert await why(accept(team, token)) == over


async def test_two_who_race_for_a_token_are_one_member_more(team, mails, notifications) -> None:
    await invite(team)
    token = await mailed(mails, notifications)
    await team.members.LeaveOrganization(
        members_pb.LeaveOrganizationRequest(org_id=team.org_id), **team.calls("cyd")
    )
    results = await asyncio.gather(
        *(accept(team, token, name) for name in ("dot", "cyd")), return_exceptions=True
    )
    (refused,) = [one for one in results if isinstance(one, Exception)]
    assert read_refusal(refused).reason == "INVITATION_OVER"
    assert len(await team.roles()) == 3


async def test_a_member_cannot_join_again(team, mails, notifications) -> None:
    await invite(team)
    token = await mailed(mails, notifications)
    already = (grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_MEMBER")
    assert await why(accept(team, token, "cyd")) == already
    # The invitation is still there for whom it was meant.
    await accept(team, token)


@pytest.mark.parametrize("token", ["rmi_guess", "x", "rmi_" + "A" * 43])
async def test_a_guess_is_no_token(team, token) -> None:
    await invite(team)
    assert await why(accept(team, token)) == NOT_FOUND
    assert await why(decline(team, token)) == NOT_FOUND


async def test_a_stranger_declines_without_signing_in(team, mails, notifications) -> None:
    await invite(team)
    token = await mailed(mails, notifications)
    await decline(team, token)
    await decline(team, token)
    assert [one.state for one in await listed(team)] == ["declined"]
    over = (grpc.StatusCode.FAILED_PRECONDITION, "INVITATION_OVER")
    assert await why(accept(team, token)) == over
    # Who declined may be asked again.
    await invite(team)


async def test_an_invitation_ends_after_a_week(team, mails, notifications, clock) -> None:
    made = await invite(team)
    token = await mailed(mails, notifications)
    clock.advance(seconds=GOOD_FOR.total_seconds())
    expired = (grpc.StatusCode.FAILED_PRECONDITION, "INVITATION_EXPIRED")
    assert await why(accept(team, token)) == expired
    assert [one.state for one in await listed(team)] == ["expired"]
    renewed = await resend(team, made)
    assert renewed.state == "pending"
    await accept(team, await mailed(mails, notifications))


async def test_an_address_is_invited_anew_after_the_week(team, clock) -> None:
    await invite(team)
    exists = (grpc.StatusCode.ALREADY_EXISTS, "INVITATION_EXISTS")
    assert await why(invite(team, email="DOT@example.com")) == exists
    clock.advance(seconds=GOOD_FOR.total_seconds())
    await invite(team)
    assert [one.state for one in await listed(team)] == ["pending", "expired"]


async def test_a_new_mail_makes_the_old_token_worthless(team, mails, notifications, clock) -> None:
    made = await invite(team)
    old = await mailed(mails, notifications)
    just_sent = (grpc.StatusCode.RESOURCE_EXHAUSTED, "INVITATION_JUST_SENT")
    assert await why(resend(team, made)) == just_sent
    clock.advance(seconds=60)
    renewed = await resend(team, made)
    assert renewed.expires_at.seconds == made.expires_at.seconds + 60
    assert not renewed.mail_sent
    new = await mailed(mails, notifications)
    assert new != old
    assert await why(accept(team, old)) == NOT_FOUND
    await accept(team, new)


async def test_a_revoked_invitation_is_over(team, mails, notifications) -> None:
    made = await invite(team)
    token = await mailed(mails, notifications)
    assert (await revoke(team, made)).state == "revoked"
    assert (await revoke(team, made)).state == "revoked"
    over = (grpc.StatusCode.FAILED_PRECONDITION, "INVITATION_OVER")
    assert await why(accept(team, token)) == over
    assert await why(resend(team, made)) == over


async def test_a_revoked_invitation_is_mailed_no_more(team, mails) -> None:
    made = await invite(team)
    await revoke(team, made)
    assert await mails.send_batch() == 0


async def test_the_mail_is_not_lost_while_notifications_is_away(
    team, mails, notifications, clock
) -> None:
    notifications.answer("QueueMail", Unavailable("away"), *[Unavailable("away")] * 3)
    await invite(team)
    assert await mails.send_batch() == 1
    assert [one.mail_sent for one in await listed(team)] == [False]
    assert await mails.send_batch() == 0
    clock.advance(seconds=2)
    await accept(team, await mailed(mails, notifications))
    tried = notifications.calls["QueueMail"]
    assert len(tried) > 1
    assert len({(mail.idempotency_key, mail.parameters["code"]) for mail in tried}) == 1


async def test_a_mail_whose_sender_died_is_sent_by_another(
    team, mails, notifications, clock, invitation_commands
) -> None:
    await invite(team)
    async with invitation_commands.sessions.begin() as session:
        store = module.InvitationStore(session)
        claimed = await store.claim_mails(clock.now(), lease=timedelta(seconds=30), count=20)
    assert len(claimed) == 1
    assert await mails.send_batch() == 0
    clock.advance(seconds=30)
    await accept(team, await mailed(mails, notifications))


async def test_a_mail_survives_a_new_pepper(
    team, mails, notifications, invitation_commands
) -> None:
    await invite(team)
    old = invitation_commands.peppers.secrets
    object.__setattr__(invitation_commands, "peppers", Peppers((b"n" * 40, *old)))
    await accept(team, await mailed(mails, notifications))


async def test_nobody_invites_above_their_own_role(team) -> None:
    too_high = (grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_HIGH")
    assert await why(invite(team, "bob", role="owner")) == too_high
    made = await invite(team, role="owner")
    assert await why(resend(team, made, "bob")) == too_high
    assert len(await listed(team)) == 1


async def test_a_repeated_key_invites_once(team) -> None:
    first = await invite(team, key="k")
    assert await invite(team, key="k") == first
    assert len(await listed(team)) == 1


async def test_calls_at_once_invite_an_address_once(team) -> None:
    results = await asyncio.gather(*(invite(team) for _ in range(4)), return_exceptions=True)
    reasons = [read_refusal(one).reason for one in results if isinstance(one, Exception)]
    assert reasons == ["INVITATION_EXISTS"] * 3


async def test_open_invitations_are_bounded(team, monkeypatch) -> None:
    monkeypatch.setattr(module, "OPEN_MAX", 1)
    made = await invite(team)
    other = invite(team, email="eve@example.com")
    assert await why(other) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_INVITATIONS")
    await revoke(team, made)
    await invite(team, email="eve@example.com")


async def test_invitations_of_another_organization_do_not_exist(team) -> None:
    made = await invite(team)
    await team.found("dot")
    assert await why(revoke(team, made, "dot")) == NOT_FOUND
    assert await why(resend(team, made, "dot")) == NOT_FOUND
    assert await why(invite(team, "bob")) == (
        grpc.StatusCode.NOT_FOUND,
        "ORGANIZATION_NOT_FOUND",
    )


@pytest.mark.parametrize("changes", [{"email": "nobody"}, {"role": "king"}, {"org_id": "org_1"}])
async def test_bad_fields_are_refused(team, changes) -> None:
    assert (await refusal_of(invite(team, **changes))).code is grpc.StatusCode.INVALID_ARGUMENT
