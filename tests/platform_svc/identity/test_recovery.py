"""VerifyEmail, RequestPasswordReset, ResetPassword, and the mails that they need."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, timedelta

import grpc
import pytest
import sqlalchemy as sa
from reelmesh.platform.identity.v1 import account_service_pb2 as account_pb
from reelmesh.platform.identity.v1 import identity_service_pb2 as pb

from meshkit.errors import DeadlineExceeded, InvalidRequest
from tests.platform_svc.refusals import read_refusal, refusal_of

from .account_factories import NEW_PASSWORD, enable_two_step, reset_request
from .factories import (
    EMAIL,
    PASSWORD,
    bearer,
    from_address,
    key,
    refresh_request,
    sign_in_request,
    sign_up_request,
)

INVALID_CODE = (grpc.StatusCode.FAILED_PRECONDITION, "INVALID_CODE")
AGAIN = account_pb.RequestEmailVerificationRequest()


@pytest.fixture
async def ada(stub) -> pb.SessionResponse:
    return await stub.SignUp(sign_up_request())


def verify(code: str) -> pb.VerifyEmailRequest:
    return pb.VerifyEmailRequest(code=code)


async def request_reset(stub, email: str = EMAIL) -> None:
    await stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email=email))


async def database_text(world) -> str:
    """Give everything that the schema holds, as one text."""
    tables = ("account", "one_time_code", "errand", "outbox", "idempotency_keys", "session")
    async with world.database.sessions() as session:
        rows = [
            (await session.execute(sa.text(f"SELECT * FROM identity.{table}"))).all()
            for table in tables
        ]
    return repr(rows)


async def test_a_mailed_code_verifies_the_address_once(world, stub, ada) -> None:
    assert not ada.user.email_verified
    (mail,) = await world.mails()
    assert (mail.template, mail.recipient) == ("verify-email", EMAIL)
    assert (mail.parameters["display_name"], mail.parameters["minutes"]) == ("Ada", "10")
    assert mail.expires_at.ToDatetime(UTC) == world.clock.now() + timedelta(minutes=10)
    code = mail.parameters["code"]
    await stub.VerifyEmail(verify(f" {code}\n"))
    assert (await stub.GetMe(pb.GetMeRequest(), metadata=bearer(ada))).email_verified
    refusal = await refusal_of(stub.VerifyEmail(verify(code)))
    assert (refusal.code, refusal.reason) == INVALID_CODE


async def test_a_code_ends_after_ten_minutes_and_another_is_mailed(
    world, stub, account, ada
) -> None:
    code = await world.code("verify-email")
    world.clock.advance(seconds=600)
    assert (await refusal_of(stub.VerifyEmail(verify(code)))).reason == "INVALID_CODE"
    await account.RequestEmailVerification(AGAIN, metadata=bearer(ada))
    await stub.VerifyEmail(verify(await world.code("verify-email")))
    await account.RequestEmailVerification(AGAIN, metadata=bearer(ada))
    assert len(await world.mails("verify-email")) == 2


async def test_a_repeat_with_the_same_key_gets_the_same_answer(world, stub, ada) -> None:
    code = await world.code("verify-email")
    for _ in range(2):
        await stub.VerifyEmail(verify(code), metadata=key("once"))
    refusal = await refusal_of(stub.VerifyEmail(verify("other"), metadata=key("once")))
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_a_code_is_good_for_its_purpose_only(world, stub, ada) -> None:
    code = await world.code("verify-email")
    assert (await refusal_of(stub.ResetPassword(reset_request(code)))).reason == "INVALID_CODE"
    await request_reset(stub)
    code = await world.code("reset-password")
    assert (await refusal_of(stub.VerifyEmail(verify(code)))).reason == "INVALID_CODE"
    await stub.ResetPassword(reset_request(code))


async def test_codes_are_nowhere_but_in_the_mail(world, stub, ada, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        await request_reset(stub)
        world.notifications.answer("QueueMail", DeadlineExceeded("away"))
        codes = {mail.template: mail.parameters["code"] for mail in await world.mails()}
        assert codes.keys() == {"verify-email", "reset-password"}
        await stub.ResetPassword(reset_request(codes["reset-password"]), metadata=key("reset"))
    everything = await database_text(world) + caplog.text + repr([vars(r) for r in caplog.records])
    for secret in (*codes.values(), NEW_PASSWORD):
        assert secret not in everything


async def test_a_reset_sets_the_password_and_ends_every_session(world, stub, ada) -> None:
    await request_reset(stub, EMAIL.upper())
    await stub.ResetPassword(reset_request(await world.code("reset-password")))
    assert (await refusal_of(stub.RefreshSession(refresh_request(ada)))).reason == (
        "SESSION_EXPIRED"
    )
    assert (await refusal_of(stub.SignIn(sign_in_request()))).reason == "WRONG_CREDENTIALS"
    reply = await stub.SignIn(sign_in_request(password=NEW_PASSWORD))
    assert reply.user.email_verified
    assert [mail.recipient for mail in await world.mails("password-changed")] == [EMAIL]


async def test_a_code_resets_once_whoever_comes_first(world, stub, ada) -> None:
    await request_reset(stub)
    code = await world.code("reset-password")
    calls = (stub.ResetPassword(reset_request(code)) for _ in range(4))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    failures = [one for one in outcomes if isinstance(one, Exception)]
    assert [read_refusal(one).reason for one in failures] == ["INVALID_CODE"] * 3


async def test_one_reset_voids_the_codes_of_the_others(world, stub, ada) -> None:
    for _ in range(2):
        await request_reset(stub)
    first, second = (m.parameters["code"] for m in await world.mails("reset-password"))
    await stub.ResetPassword(reset_request(first))
    assert (await refusal_of(stub.ResetPassword(reset_request(second)))).reason == "INVALID_CODE"


async def test_a_weak_password_leaves_the_code_good(world, stub, ada) -> None:
    await request_reset(stub)
    code = await world.code("reset-password")
    refusal = await refusal_of(stub.ResetPassword(reset_request(code, new_password="password1")))
    assert refusal.reason == "WEAK_PASSWORD"
    await stub.ResetPassword(reset_request(code))


async def test_a_reset_leaves_the_second_step_on(world, stub, account, ada) -> None:
    await enable_two_step(world, account, ada)
    await request_reset(stub)
    await stub.ResetPassword(reset_request(await world.code("reset-password")))
    reply = await stub.SignIn(sign_in_request(password=NEW_PASSWORD))
    assert reply.challenge.challenge
    assert not reply.HasField("session")


async def test_an_unknown_address_gets_the_same_answer_and_no_mail(world, stub, ada) -> None:
    await world.mails()
    known = await stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email=EMAIL))
    unknown = await stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email="no@x.example"))
    assert known == unknown
    assert [mail.recipient for mail in await world.mails("reset-password")] == [EMAIL]
    assert (await world.runner.run_batch()) == 0


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
async def test_mails_to_an_address_are_few_whoever_has_it(stub, ada, email) -> None:
    request = pb.RequestPasswordResetRequest(email=email)
    for number in range(3):
        await stub.RequestPasswordReset(request, metadata=from_address(f"192.0.2.{number}"))
    refusal = await refusal_of(
        stub.RequestPasswordReset(request, metadata=from_address("192.0.2.9"))
    )
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "TOO_MANY_ATTEMPTS",
    )


async def test_a_network_cannot_try_codes_without_end(world, stub, ada) -> None:
    reasons = [(await refusal_of(stub.VerifyEmail(verify("x")))).reason for _ in range(31)]
    assert reasons == ["INVALID_CODE"] * 30 + ["TOO_MANY_ATTEMPTS"]


async def test_a_mail_is_owed_until_it_is_taken_over(world, stub, ada) -> None:
    world.notifications.answer("QueueMail", *[DeadlineExceeded("away")] * 2)
    assert await world.runner.run_batch() == 1
    assert await world.runner.run_batch() == 0
    for seconds in (2, 4):
        world.clock.advance(seconds=seconds)
        assert await world.runner.run_batch() == 1
    first, _, last = world.notifications.calls["QueueMail"]
    # Both may arrive: each has a code and a key of its own, and both codes are good.
    assert first.idempotency_key != last.idempotency_key
    world.clock.advance(seconds=60)
    assert await world.runner.run_batch() == 0
    await stub.VerifyEmail(verify(first.parameters["code"]))


async def test_a_mail_that_can_never_be_sent_is_given_up(world, stub, ada) -> None:
    world.notifications.answer("QueueMail", InvalidRequest("no address"))
    assert await world.runner.run_batch() == 1
    world.clock.advance(seconds=3600)
    assert await world.runner.run_batch() == 0


async def test_the_running_runner_hands_over_at_once(world, stub) -> None:
    running = asyncio.create_task(world.runner.run())
    mailed = asyncio.Event()
    world.notifications.always(
        "QueueMail", lambda request: mailed.set() or DeadlineExceeded("seen")
    )
    try:
        await stub.SignUp(sign_up_request())
        async with asyncio.timeout(60):
            await mailed.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_disabled_user_gets_no_reset(world, stub, ada) -> None:
    await request_reset(stub)
    code = await world.code("reset-password")
    async with world.database.sessions.begin() as session:
        await session.execute(sa.text("UPDATE identity.account SET disabled_at = now()"))
    assert (await refusal_of(stub.ResetPassword(reset_request(code)))).reason == "INVALID_CODE"
    await request_reset(stub)
    assert len(await world.mails("reset-password")) == 1
    assert PASSWORD not in await database_text(world)
