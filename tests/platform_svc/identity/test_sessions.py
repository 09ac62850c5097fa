"""SignIn, RefreshSession, SignOut, GetMe and GetJwks through a real server."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import grpc
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from reelmesh.platform.identity.v1 import identity_service_pb2 as pb

from meshkit.context import UserPrincipal
from meshkit.ids import parse_id
from platform_svc.identity.jobs import Forgetting
from tests.platform_svc.refusals import read_refusal, refusal_of

from .factories import (
    EMAIL,
    PASSWORD,
    bearer,
    from_address,
    refresh_request,
    sign_in_request,
    sign_up_request,
)

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
ME = pb.GetMeRequest()


@pytest.fixture
async def ada(stub) -> pb.SessionResponse:
    return await stub.SignUp(sign_up_request())


async def scalar(world, statement: str):
    async with world.database.sessions() as session:
        return await session.scalar(sa.text(statement))


async def execute(world, statement: str, **parameters) -> None:
    async with world.database.sessions.begin() as session:
        await session.execute(sa.text(statement), parameters)


@pytest.mark.parametrize("email", [EMAIL, EMAIL.lower(), EMAIL.upper()])
async def test_signing_in_opens_another_session(world, stub, ada, email) -> None:
    reply = await stub.SignIn(sign_in_request(email=email))
    assert reply.user == ada.user
    assert reply.session.session_id != ada.session.session_id
    assert world.mesh.identity.verifier().verify_user(reply.session.access_token)


async def test_unknown_users_and_wrong_passwords_get_one_answer(stub, ada) -> None:
    wrong = await refusal_of(stub.SignIn(sign_in_request(password="not the password")))
    unknown = await refusal_of(stub.SignIn(sign_in_request(email="nobody@example.com")))
    assert wrong == unknown
    assert (wrong.code, wrong.reason) == (UNAUTHENTICATED, "WRONG_CREDENTIALS")


async def test_a_disabled_user_is_a_user_no_more(world, stub, ada) -> None:
    await execute(world, "UPDATE identity.account SET disabled_at = now()")
    assert (await refusal_of(stub.SignIn(sign_in_request()))).reason == "WRONG_CREDENTIALS"
    assert (await refusal_of(stub.RefreshSession(refresh_request(ada)))).reason == (
        "SESSION_EXPIRED"
    )
    refusal = await refusal_of(stub.GetMe(ME, metadata=bearer(ada)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


async def test_guessing_gets_slower_and_the_right_password_must_wait_too(world, stub, ada) -> None:
    here = from_address("203.0.113.9")
    wrong = sign_in_request(password="not the password")
    for _ in range(10):
        refusal = await refusal_of(stub.SignIn(wrong, metadata=here))
        assert refusal.reason == "WRONG_CREDENTIALS"
    for pause in ("1", "2", "4"):
        refusal = await refusal_of(stub.SignIn(sign_in_request(), metadata=here))
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refusal.metadata == {"retry_after_seconds": pause}
        world.clock.advance(seconds=int(pause))
        assert (await refusal_of(stub.SignIn(wrong, metadata=here))).reason == "WRONG_CREDENTIALS"
    # Its owner, elsewhere, is not locked out.
    await stub.SignIn(sign_in_request(), metadata=from_address("192.0.2.1"))
    world.clock.advance(seconds=8)
    await stub.SignIn(sign_in_request(), metadata=here)
    # A success wipes the record.
    assert (await refusal_of(stub.SignIn(wrong, metadata=here))).reason == "WRONG_CREDENTIALS"
    await stub.SignIn(sign_in_request(), metadata=here)


async def test_guesses_at_unknown_addresses_are_slowed_alike(stub) -> None:
    guess = sign_in_request(email="nobody@example.com")
    reasons = [(await refusal_of(stub.SignIn(guess))).reason for _ in range(11)]
    assert reasons == ["WRONG_CREDENTIALS"] * 10 + ["TOO_MANY_ATTEMPTS"]


async def test_parallel_guesses_are_counted_before_they_are_tried(stub, ada) -> None:
    wrong = sign_in_request(password="not the password")
    results = await asyncio.gather(*(stub.SignIn(wrong) for _ in range(30)), return_exceptions=True)
    reasons = [read_refusal(error).reason for error in results]
    assert reasons.count("WRONG_CREDENTIALS") == 10
    assert reasons.count("TOO_MANY_ATTEMPTS") == 20


async def test_signing_in_renews_an_outdated_hash(world, stub, ada) -> None:
    outdated = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await execute(world, "UPDATE identity.password SET hash = :hash", hash=outdated)
    await stub.SignIn(sign_in_request())
    renewed = await scalar(world, "SELECT hash FROM identity.password")
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await stub.SignIn(sign_in_request())


async def test_a_refresh_gives_a_new_pair_of_the_same_session(world, stub, ada) -> None:
    world.clock.advance(seconds=60)
    reply = await stub.RefreshSession(refresh_request(ada))
    assert reply.user == ada.user
    assert reply.session.session_id == ada.session.session_id
    assert reply.session.refresh_token != ada.session.refresh_token
    assert reply.session.access_token != ada.session.access_token
    assert (await stub.RefreshSession(refresh_request(reply))).session.refresh_token


async def test_a_lost_reply_gives_the_same_successor(world, stub, ada) -> None:
    first = await stub.RefreshSession(refresh_request(ada))
    world.clock.advance(seconds=29)
    again = await stub.RefreshSession(refresh_request(ada))
    assert again.session.refresh_token == first.session.refresh_token


async def test_reuse_ends_the_session_for_thief_and_owner(world, stub, ada) -> None:
    newest = await stub.RefreshSession(refresh_request(ada))
    world.clock.advance(seconds=31)
    refusal = await refusal_of(stub.RefreshSession(refresh_request(ada)))
    assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, "REFRESH_TOKEN_REUSED")
    for reply in (newest, ada):
        refusal = await refusal_of(stub.RefreshSession(refresh_request(reply)))
        assert refusal.reason == "SESSION_EXPIRED"
    because = await scalar(world, "SELECT revoked_because FROM identity.session")
    assert because == "refresh token reused"


async def test_a_token_two_trades_old_is_reuse_even_at_once(stub, ada) -> None:
    second = await stub.RefreshSession(refresh_request(ada))
    await stub.RefreshSession(refresh_request(second))
    refusal = await refusal_of(stub.RefreshSession(refresh_request(ada)))
    assert refusal.reason == "REFRESH_TOKEN_REUSED"


async def test_racing_refreshes_get_one_successor(stub, ada) -> None:
    replies = await asyncio.gather(*(stub.RefreshSession(refresh_request(ada)) for _ in range(8)))
    successors = {reply.session.refresh_token for reply in replies}
    assert len(successors) == 1
    assert ada.session.refresh_token not in successors
    await stub.RefreshSession(refresh_request(replies[0]))


async def test_an_invented_token_hurts_nobody(stub, ada) -> None:
    token = ada.session.refresh_token
    for text in ("x", "rt_", token[:-8] + "AAAAAAAA", token + "A", ada.session.access_token[:256]):
        refusal = await refusal_of(
            stub.RefreshSession(pb.RefreshSessionRequest(refresh_token=text))
        )
        assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, "INVALID_REFRESH_TOKEN")
    await stub.RefreshSession(refresh_request(ada))


@pytest.mark.parametrize("days", [14, 91])
async def test_an_idle_session_ends(world, stub, ada, days) -> None:
    world.clock.advance(seconds=days * 86400)
    refusal = await refusal_of(stub.RefreshSession(refresh_request(ada)))
    assert refusal.reason == "SESSION_EXPIRED"


async def test_signing_out_ends_the_session_at_once_and_twice(world, stub, ada) -> None:
    other = await stub.SignIn(sign_in_request())
    for _ in range(2):
        await stub.SignOut(pb.SignOutRequest(), metadata=bearer(ada))
    refusal = await refusal_of(stub.RefreshSession(refresh_request(ada)))
    assert refusal.reason == "SESSION_EXPIRED"
    await stub.RefreshSession(refresh_request(other))


async def test_get_me_gives_the_user_of_the_token(stub, ada) -> None:
    bob = await stub.SignUp(sign_up_request(email="bob@example.com", display_name="Bob"))
    assert await stub.GetMe(ME, metadata=bearer(ada)) == ada.user
    assert await stub.GetMe(ME, metadata=bearer(bob)) == bob.user


async def test_get_me_and_sign_out_need_a_users_token(world, stub, ada) -> None:
    keys = world.mesh.identity
    refresh = (("authorization", f"Bearer {ada.session.refresh_token}"),)
    for metadata in ((), refresh, (("authorization", "Bearer x.y.z"),)):
        for call in (stub.GetMe, stub.SignOut):
            request = ME if call is stub.GetMe else pb.SignOutRequest()
            refusal = await refusal_of(call(request, metadata=metadata))
            assert refusal.code is UNAUTHENTICATED
    refusal = await refusal_of(stub.GetMe(ME, metadata=keys.service_metadata("business")))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


async def test_an_access_token_ends_after_15_minutes(world, stub, ada) -> None:
    world.clock.advance(seconds=899)
    await stub.GetMe(ME, metadata=bearer(ada))
    world.clock.advance(seconds=10)
    refusal = await refusal_of(stub.GetMe(ME, metadata=bearer(ada)))
    assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, "TOKEN_EXPIRED")


async def test_a_token_of_a_deleted_user_finds_nobody(world, stub, ada) -> None:
    org_id = parse_id("org", ada.user.personal_org_id, field="org")
    ghost = UserPrincipal(org_id, org_id, org_id)
    refusal = await refusal_of(stub.GetMe(ME, metadata=world.mesh.identity.user_metadata(ghost)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


async def test_the_key_set_is_the_published_file(world, stub) -> None:
    reply = await stub.GetJwks(pb.GetJwksRequest())
    published = json.loads(world.mesh.identity.jwks_file.read_text())["keys"]
    assert [
        {"kty": k.kty, "crv": k.crv, "use": k.use, "alg": k.alg, "kid": k.kid, "x": k.x}
        for k in reply.keys
    ] == published
    assert not reply.keys[0].HasField("y")


async def test_what_is_long_over_is_forgotten(world, stub, ada) -> None:
    await refusal_of(stub.SignIn(sign_in_request(password="not the password")))
    job = Forgetting(world.database.sessions, world.clock.ambient)
    await job.forget()
    assert await scalar(world, "SELECT count(*) FROM identity.attempt") > 0
    world.clock.advance(seconds=timedelta(days=121).total_seconds())
    await job.forget()
    assert await scalar(world, "SELECT count(*) FROM identity.attempt") == 0
    assert await scalar(world, "SELECT count(*) FROM identity.session") == 0
    assert await scalar(world, "SELECT count(*) FROM identity.account") == 1
