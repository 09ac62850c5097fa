"""EnrolTotp, ConfirmTotp, DisableTotp and CompleteSignIn through a real server."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
import sqlalchemy as sa
from reelmesh.platform.identity.v1 import account_service_pb2 as pb
from reelmesh.platform.identity.v1 import identity_service_pb2 as identity_pb

from tests.platform_svc.refusals import read_refusal, refusal_of

from .account_factories import PERIOD_SECONDS, enable_two_step, totp_code
from .factories import bearer, refresh_request, sign_in_request, sign_up_request

ENROL = pb.EnrolTotpRequest()
DISABLE = pb.DisableTotpRequest()


@pytest.fixture
async def ada(stub) -> identity_pb.SessionResponse:
    return await stub.SignUp(sign_up_request())


def confirm(code: str) -> pb.ConfirmTotpRequest:
    return pb.ConfirmTotpRequest(code=code)


async def challenge(stub) -> str:
    reply = await stub.SignIn(sign_in_request())
    assert not reply.HasField("session")
    assert not reply.HasField("user")
    return reply.challenge.challenge


def second_step(text: str, code: str) -> identity_pb.CompleteSignInRequest:
    return identity_pb.CompleteSignInRequest(challenge=text, code=code)


async def test_an_enrolment_changes_nothing_until_it_is_confirmed(
    world, stub, account, ada
) -> None:
    enrolment = await account.EnrolTotp(ENROL, metadata=bearer(ada))
    assert enrolment == await account.EnrolTotp(ENROL, metadata=bearer(ada))
    address = urlsplit(enrolment.uri)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query)["secret"] == [enrolment.secret]
    assert len(set(enrolment.recovery_codes)) == 10
    assert (await stub.SignIn(sign_in_request())).session.access_token
    await account.ConfirmTotp(confirm(totp_code(world, enrolment.secret)), metadata=bearer(ada))
    assert await challenge(stub)
    me = await stub.GetMe(identity_pb.GetMeRequest(), metadata=bearer(ada))
    assert me.two_step_enabled
    assert len(await world.mails("two-step-enabled")) == 1


async def test_confirming_ends_the_other_sessions_and_may_be_repeated(
    world, stub, account, ada
) -> None:
    other = await stub.SignIn(sign_in_request())
    enrolment = await account.EnrolTotp(ENROL, metadata=bearer(ada))
    code = totp_code(world, enrolment.secret)
    for _ in range(2):
        await account.ConfirmTotp(confirm(code), metadata=bearer(ada))
    assert (await refusal_of(stub.RefreshSession(refresh_request(other)))).reason == (
        "SESSION_EXPIRED"
    )
    await stub.RefreshSession(refresh_request(ada))
    refusal = await refusal_of(account.ConfirmTotp(confirm("x"), metadata=bearer(ada)))
    assert refusal.reason == "TWO_STEP_ENABLED"
    refusal = await refusal_of(account.EnrolTotp(ENROL, metadata=bearer(ada)))
    assert refusal.reason == "TWO_STEP_ENABLED"


async def test_a_wrong_or_late_confirmation_is_refused(world, account, ada) -> None:
    refusal = await refusal_of(account.ConfirmTotp(confirm("123456"), metadata=bearer(ada)))
    assert refusal.reason == "NO_ENROLMENT"
    enrolment = await account.EnrolTotp(ENROL, metadata=bearer(ada))
    wrong = totp_code(world, enrolment.secret, periods_from_now=9)
    refusal = await refusal_of(account.ConfirmTotp(confirm(wrong), metadata=bearer(ada)))
    assert refusal.reason == "WRONG_SECOND_STEP"


async def test_both_steps_open_a_session(world, stub, account, ada) -> None:
    enrolment = await enable_two_step(world, account, ada)
    reply = await stub.CompleteSignIn(
        second_step(await challenge(stub), totp_code(world, enrolment.secret))
    )
    assert reply.user.user_id == ada.user.user_id
    assert reply.session.session_id != ada.session.session_id
    await stub.RefreshSession(refresh_request(reply))


async def test_a_challenge_and_a_code_are_good_once(world, stub, account, ada) -> None:
    enrolment = await enable_two_step(world, account, ada)
    text, code = await challenge(stub), totp_code(world, enrolment.secret)
    await stub.CompleteSignIn(second_step(text, code))
    refusal = await refusal_of(stub.CompleteSignIn(second_step(text, code)))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "INVALID_CHALLENGE",
    )
    # The code was seen by whoever looked over a shoulder.
    text = await challenge(stub)
    assert (await refusal_of(stub.CompleteSignIn(second_step(text, code)))).reason == (
        "WRONG_SECOND_STEP"
    )
    world.clock.advance(seconds=PERIOD_SECONDS)
    await stub.CompleteSignIn(second_step(text, totp_code(world, enrolment.secret)))


async def test_one_code_opens_one_session_whoever_comes_first(world, stub, account, ada) -> None:
    enrolment = await enable_two_step(world, account, ada)
    texts = [await challenge(stub) for _ in range(4)]
    code = totp_code(world, enrolment.secret)
    calls = (stub.CompleteSignIn(second_step(text, code)) for text in texts)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    failures = [one for one in outcomes if isinstance(one, Exception)]
    assert [read_refusal(one).reason for one in failures] == ["WRONG_SECOND_STEP"] * 3


async def test_a_challenge_ends_after_five_minutes(world, stub, account, ada) -> None:
    enrolment = await enable_two_step(world, account, ada)
    text = await challenge(stub)
    world.clock.advance(seconds=300)
    code = totp_code(world, enrolment.secret)
    assert (await refusal_of(stub.CompleteSignIn(second_step(text, code)))).reason == (
        "INVALID_CHALLENGE"
    )


@pytest.mark.parametrize("periods", [-1, 1])
async def test_a_clock_may_be_one_period_off(world, stub, account, ada, periods) -> None:
    enrolment = await enable_two_step(world, account, ada)
    world.clock.advance(seconds=PERIOD_SECONDS)
    far = totp_code(world, enrolment.secret, periods_from_now=2 * periods)
    text = await challenge(stub)
    assert (await refusal_of(stub.CompleteSignIn(second_step(text, far)))).reason == (
        "WRONG_SECOND_STEP"
    )
    near = totp_code(world, enrolment.secret, periods_from_now=periods)
    await stub.CompleteSignIn(second_step(text, near))


async def test_a_recovery_code_is_good_once(world, stub, account, ada) -> None:
    enrolment = await enable_two_step(world, account, ada)
    code = enrolment.recovery_codes[0]
    spelt_otherwise = code.upper().replace("-", " ")
    await stub.CompleteSignIn(second_step(await challenge(stub), spelt_otherwise))
    refusal = await refusal_of(stub.CompleteSignIn(second_step(await challenge(stub), code)))
    assert refusal.reason == "WRONG_SECOND_STEP"
    other = enrolment.recovery_codes[1]
    await stub.CompleteSignIn(second_step(await challenge(stub), other))


async def test_guessing_the_second_step_gets_slower(world, stub, account, ada) -> None:
    enrolment = await enable_two_step(world, account, ada)
    text = await challenge(stub)
    for _ in range(5):
        refusal = await refusal_of(stub.CompleteSignIn(second_step(text, "000000")))
        assert refusal.reason == "WRONG_SECOND_STEP"
    # Another challenge or another network does not help.
    text = await challenge(stub)
    refusal = await refusal_of(stub.CompleteSignIn(second_step(text, "000000")))
    assert refusal.reason == "TOO_MANY_ATTEMPTS"
    world.clock.advance(seconds=1)
    code = totp_code(world, enrolment.secret)
    await stub.CompleteSignIn(second_step(text, code))


async def test_the_secret_and_the_recovery_codes_are_not_in_the_database(
    world, account, ada
) -> None:
    enrolment = await enable_two_step(world, account, ada)
    async with world.database.sessions() as session:
        rows = [
            (await session.execute(sa.text(f"SELECT * FROM identity.{table}"))).all()
            for table in ("totp", "recovery_code", "outbox", "idempotency_keys")
        ]
    everything = repr(rows)
    assert enrolment.secret not in everything
    assert all(code not in everything for code in enrolment.recovery_codes)
    assert len(rows[1]) == 10


async def test_turning_it_off_makes_one_step_enough(world, stub, account, ada) -> None:
    await enable_two_step(world, account, ada)
    for _ in range(2):
        await account.DisableTotp(DISABLE, metadata=bearer(ada))
    assert (await stub.SignIn(sign_in_request())).session.access_token
    assert len(await world.mails("two-step-disabled")) == 1


async def test_an_old_session_may_not_touch_the_second_step(world, stub, account, ada) -> None:
    world.clock.advance(seconds=899)
    await account.EnrolTotp(ENROL, metadata=bearer(ada))
    world.clock.advance(seconds=1)
    old = bearer(await stub.RefreshSession(refresh_request(ada)))
    for call in (
        account.EnrolTotp(ENROL, metadata=old),
        account.ConfirmTotp(confirm("123456"), metadata=old),
        account.DisableTotp(DISABLE, metadata=old),
    ):
        refusal = await refusal_of(call)
        assert (refusal.code, refusal.reason, refusal.metadata) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "RECENT_SIGN_IN_REQUIRED",
            {"within_minutes": "15"},
        )
