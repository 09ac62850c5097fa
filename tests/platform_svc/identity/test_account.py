"""UpdateMe, ChangePassword, ListSessions, RevokeSession, ExportMe and DeleteMe."""

from __future__ import annotations

import grpc
import pytest
import sqlalchemy as sa
from reelmesh.platform.identity.v1 import account_service_pb2 as pb
from reelmesh.platform.identity.v1 import identity_events_pb2 as events
from reelmesh.platform.identity.v1 import identity_service_pb2 as identity_pb

from meshkit.outbox import outbox_table
from tests.platform_svc.refusals import refusal_of

from .account_factories import NEW_PASSWORD, change_password_request, enable_two_step
from .factories import (
    EMAIL,
    bearer,
    from_address,
    key,
    refresh_request,
    sign_in_request,
    sign_up_request,
)

DELETE = pb.DeleteMeRequest()
EXPORT = pb.ExportMeRequest()
ME = identity_pb.GetMeRequest()


@pytest.fixture
async def ada(stub) -> identity_pb.SessionResponse:
    return await stub.SignUp(sign_up_request())


@pytest.fixture
async def bob(stub) -> identity_pb.SessionResponse:
    return await stub.SignUp(sign_up_request(email="bob@example.com", display_name="Bob"))


async def sessions_of(account, reply, **fields) -> pb.ListSessionsResponse:
    return await account.ListSessions(pb.ListSessionsRequest(**fields), metadata=bearer(reply))


def revoke(session_id: str) -> pb.RevokeSessionRequest:
    return pb.RevokeSessionRequest(session_id=session_id)


async def test_a_user_is_renamed_and_nobody_else(stub, account, ada, bob) -> None:
    request = pb.UpdateMeRequest(display_name="Ada Lovelace")
    renamed = await account.UpdateMe(request, metadata=bearer(ada))
    assert renamed.display_name == "Ada Lovelace"
    assert await stub.GetMe(ME, metadata=bearer(ada)) == renamed
    assert (await stub.GetMe(ME, metadata=bearer(bob))).display_name == "Bob"
    blank = pb.UpdateMeRequest(display_name=" \t")
    assert (await refusal_of(account.UpdateMe(blank, metadata=bearer(ada)))).reason == (
        "INVALID_REQUEST"
    )


async def test_a_new_password_ends_the_other_sessions(world, stub, account, ada) -> None:
    other = await stub.SignIn(sign_in_request())
    await account.ChangePassword(change_password_request(), metadata=bearer(ada))
    assert (await refusal_of(stub.RefreshSession(refresh_request(other)))).reason == (
        "SESSION_EXPIRED"
    )
    await stub.RefreshSession(refresh_request(ada))
    assert (await refusal_of(stub.SignIn(sign_in_request()))).reason == "WRONG_CREDENTIALS"
    await stub.SignIn(sign_in_request(password=NEW_PASSWORD))
    assert len(await world.mails("password-changed")) == 1


async def test_a_password_change_may_be_repeated_with_its_key(world, stub, account, ada) -> None:
    metadata = (*bearer(ada), *key("change"))
    for _ in range(2):
        await account.ChangePassword(change_password_request(), metadata=metadata)
    assert len(await world.mails("password-changed")) == 1
    other = change_password_request(new_password="yet another phrase")
    refusal = await refusal_of(account.ChangePassword(other, metadata=metadata))
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"
    await stub.SignIn(sign_in_request(password=NEW_PASSWORD))


async def test_a_wrong_or_weak_password_changes_nothing(stub, account, ada) -> None:
    weak = change_password_request(new_password="password1")
    refusal = await refusal_of(account.ChangePassword(weak, metadata=bearer(ada)))
    assert refusal.reason == "WEAK_PASSWORD"
    wrong = change_password_request(current_password="not the password")
    metadata = (*bearer(ada), *key("change"))
    refusal = await refusal_of(account.ChangePassword(wrong, metadata=metadata))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "WRONG_CREDENTIALS",
    )
    await stub.SignIn(sign_in_request())
    # The refused call has not used its key up.
    await account.ChangePassword(change_password_request(), metadata=metadata)


async def test_a_thief_of_a_token_cannot_guess_the_password(account, ada) -> None:
    wrong = change_password_request(current_password="not the password")
    reasons = [
        (await refusal_of(account.ChangePassword(wrong, metadata=bearer(ada)))).reason
        for _ in range(11)
    ]
    assert reasons == ["WRONG_CREDENTIALS"] * 10 + ["TOO_MANY_ATTEMPTS"]


async def test_a_session_that_is_over_changes_no_password(stub, account, ada) -> None:
    await stub.SignOut(identity_pb.SignOutRequest(), metadata=bearer(ada))
    call = account.ChangePassword(change_password_request(), metadata=bearer(ada))
    assert (await refusal_of(call)).reason == "SESSION_EXPIRED"


async def test_sessions_are_listed_newest_first_with_their_devices(
    world, stub, account, ada, bob
) -> None:
    world.clock.advance(seconds=60)
    phone = await stub.SignIn(sign_in_request(), metadata=from_address("203.0.113.9"))
    listed = (await sessions_of(account, ada)).sessions
    assert [one.session_id for one in listed] == [
        phone.session.session_id,
        ada.session.session_id,
    ]
    assert [one.is_current for one in listed] == [False, True]
    assert listed[0].network == "203.0.113.9"
    assert "grpc" in listed[0].user_agent


async def test_pages_of_sessions_neither_skip_nor_repeat(stub, account, ada) -> None:
    for _ in range(4):
        await stub.SignIn(sign_in_request())
    whole = [one.session_id for one in (await sessions_of(account, ada)).sessions]
    paged, token = [], ""
    while len(paged) < len(whole):
        page = await sessions_of(account, ada, page_size=2, page_token=token)
        paged += [one.session_id for one in page.sessions]
        token = page.next_page_token
    assert (paged, token) == (whole, "")
    call = sessions_of(account, ada, page_token="damaged")
    assert (await refusal_of(call)).reason == "INVALID_PAGE_TOKEN"


async def test_a_revoked_session_is_over_and_gone_from_the_list(stub, account, ada) -> None:
    other = await stub.SignIn(sign_in_request())
    for _ in range(2):
        await account.RevokeSession(revoke(other.session.session_id), metadata=bearer(ada))
    assert (await refusal_of(stub.RefreshSession(refresh_request(other)))).reason == (
        "SESSION_EXPIRED"
    )
    listed = (await sessions_of(account, ada)).sessions
    assert [one.session_id for one in listed] == [ada.session.session_id]


async def test_nobody_sees_or_ends_the_sessions_of_others(stub, account, ada, bob) -> None:
    call = account.RevokeSession(revoke(bob.session.session_id), metadata=bearer(ada))
    refusal = await refusal_of(call)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
    await stub.RefreshSession(refresh_request(bob))
    listed = (await sessions_of(account, ada)).sessions
    assert [one.session_id for one in listed] == [ada.session.session_id]
    bad = account.RevokeSession(revoke("usr_x"), metadata=bearer(ada))
    assert (await refusal_of(bad)).reason == "INVALID_ID"


async def test_idle_sessions_are_not_listed(world, stub, account, ada) -> None:
    world.clock.advance(seconds=14 * 86400)
    fresh = await stub.SignIn(sign_in_request())
    listed = (await sessions_of(account, fresh)).sessions
    assert [one.session_id for one in listed] == [fresh.session.session_id]


async def test_an_export_holds_what_is_kept_and_no_secret(world, stub, account, ada, bob) -> None:
    enrolment = await enable_two_step(world, account, ada)
    export = await account.ExportMe(EXPORT, metadata=bearer(ada))
    assert export.user == await stub.GetMe(ME, metadata=bearer(ada))
    assert [one.session_id for one in export.sessions] == [ada.session.session_id]
    assert export.password_changed_at == ada.user.created_at
    assert export.recovery_codes_left == 10
    assert export.HasField("two_step_enabled_at")
    assert not export.HasField("email_verified_at")
    text = str(export)
    for secret in ("argon2", enrolment.secret, ada.session.refresh_token, bob.user.user_id):
        assert secret not in text


async def test_an_old_session_neither_exports_nor_deletes(world, stub, account, ada) -> None:
    world.clock.advance(seconds=900)
    old = bearer(await stub.RefreshSession(refresh_request(ada)))
    for call in (account.ExportMe(EXPORT, metadata=old), account.DeleteMe(DELETE, metadata=old)):
        assert (await refusal_of(call)).reason == "RECENT_SIGN_IN_REQUIRED"


async def test_a_deleted_user_is_erased_and_announced(world, stub, account, ada, bob) -> None:
    await enable_two_step(world, account, ada)
    await world.mails()
    for _ in range(2):
        await account.DeleteMe(DELETE, metadata=bearer(ada))
    assert (await refusal_of(stub.GetMe(ME, metadata=bearer(ada)))).reason == "USER_NOT_FOUND"
    assert (await refusal_of(stub.SignIn(sign_in_request()))).reason == "WRONG_CREDENTIALS"
    assert (await refusal_of(stub.RefreshSession(refresh_request(ada)))).reason == (
        "INVALID_REFRESH_TOKEN"
    )
    call = account.ExportMe(EXPORT, metadata=bearer(ada))
    assert (await refusal_of(call)).reason == "SESSION_EXPIRED"
    (mail,) = await world.mails("account-deleted")
    assert (mail.recipient, mail.parameters["display_name"]) == (EMAIL, "Ada")
    outbox = outbox_table("identity")
    async with world.database.sessions() as session:
        rows = (await session.execute(sa.select(outbox.c.subject, outbox.c.payload))).all()
    (deleted,) = [row.payload for row in rows if row.subject.endswith("user_deleted")]
    assert events.UserDeleted.FromString(deleted) == events.UserDeleted(
        user_id=ada.user.user_id, personal_org_id=ada.user.personal_org_id
    )
    assert await stub.GetMe(ME, metadata=bearer(bob)) == bob.user


async def test_nothing_about_a_deleted_user_stays(world, stub, account, ada) -> None:
    await enable_two_step(world, account, ada)
    await account.DeleteMe(DELETE, metadata=bearer(ada))
    await world.mails()
    tables = ("account", "password", "session", "one_time_code", "totp", "recovery_code", "errand")
    async with world.database.sessions() as session:
        rows = {
            table: (await session.execute(sa.text(f"SELECT * FROM identity.{table}"))).all()
            for table in tables
        }
    assert [table for table, found in rows.items() if found] == ["account"]
    assert "ada" not in repr(rows).casefold()


async def test_the_address_of_a_deleted_user_is_free(stub, account, ada) -> None:
    await account.DeleteMe(DELETE, metadata=bearer(ada))
    again = await stub.SignUp(sign_up_request())
    assert again.user.user_id != ada.user.user_id


async def test_only_users_may_call(world, account) -> None:
    for call in (account.DeleteMe(DELETE), account.ExportMe(EXPORT)):
        assert (await refusal_of(call)).code is grpc.StatusCode.UNAUTHENTICATED
    metadata = world.mesh.identity.service_metadata("business")
    refusal = await refusal_of(account.DeleteMe(DELETE, metadata=metadata))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
