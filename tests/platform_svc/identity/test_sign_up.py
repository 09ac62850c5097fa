"""SignUp through a real server: what it makes, what it refuses, what races do."""

from __future__ import annotations

import asyncio

import grpc
import pytest
import sqlalchemy as sa
from reelmesh.platform.identity.v1 import identity_events_pb2 as events

from meshkit.errors import Unavailable
from meshkit.ids import parse_id
from meshkit.migrations import drift
from meshkit.outbox import outbox_table
from platform_svc.identity.store import USER_SIGNED_UP
from platform_svc.identity.tables import Base
from tests.platform_svc.refusals import read_refusal, refusal_of
from tests.platform_svc.trail import changes_in

from .conftest import FREE_SIGN_UPS
from .factories import (
    EMAIL,
    PASSWORD,
    from_address,
    key,
    sign_in_request,
    sign_up_request,
)

EXISTS = grpc.StatusCode.ALREADY_EXISTS
INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def count(world, table: str) -> int:
    async with world.database.sessions() as session:
        return await session.scalar(sa.text(f"SELECT count(*) FROM identity.{table}"))


async def told(world, subject: str) -> list[bytes]:
    """Give what the events of a kind say."""
    outbox = outbox_table("identity")
    query = sa.select(outbox.c.payload).where(outbox.c.subject == subject)
    async with world.database.sessions() as session:
        return list(await session.scalars(query.order_by(outbox.c.position)))


async def sign_ups(world) -> int:
    return len(await told(world, USER_SIGNED_UP))


async def test_migrations_agree_with_the_tables(database) -> None:
    assert await drift(database.url, Base.metadata) == []


async def test_a_user_gets_a_session_an_organization_and_credits(world, stub) -> None:
    reply = await stub.SignUp(sign_up_request())
    user, session = reply.user, reply.session
    assert (user.email, user.display_name) == (EMAIL, "Ada")
    principal = world.mesh.identity.verifier().verify_user(session.access_token)
    assert principal.user_id == parse_id("usr", user.user_id, field="user_id")
    assert principal.session_id == parse_id("ses", session.session_id, field="session_id")
    assert principal.organization_id == parse_id("org", user.personal_org_id, field="org_id")
    now = int(world.clock.now().timestamp())
    assert session.access_token_expires_at.seconds == now + 900
    (ensured,) = world.organizations.calls["EnsurePersonalOrganization"]
    assert (ensured.org_id, ensured.user_id) == (user.personal_org_id, user.user_id)
    (granted,) = world.credits.calls["GrantCredits"]
    assert (granted.org_id, granted.amount_credits) == (user.personal_org_id, 500)
    assert granted.idempotency_key == f"sign-up:{user.personal_org_id}"


async def test_a_sign_up_is_announced(world, stub) -> None:
    reply = await stub.SignUp(sign_up_request())
    (event,) = await told(world, USER_SIGNED_UP)
    assert events.UserSignedUp.FromString(event) == events.UserSignedUp(
        user_id=reply.user.user_id,
        personal_org_id=reply.user.personal_org_id,
        display_name="Ada",
    )


async def test_a_sign_up_and_a_sign_in_are_in_the_audit_log(world, stub) -> None:
    reply = await stub.SignUp(sign_up_request())
    await refusal_of(stub.SignIn(sign_in_request(password="not the password")))
    await stub.SignIn(sign_in_request())
    changes = await changes_in(world.database)
    assert [one.action for one in changes] == ["user.signed_up", "user.signed_in"]
    for change in changes:
        assert change.org_id == reply.user.personal_org_id
        assert (change.actor_kind, change.actor_id) == ("user", reply.user.user_id)
        assert change.network == "127.0.0.1"
        assert EMAIL not in str(change)


@pytest.mark.parametrize("down", ["organizations", "credits"])
async def test_a_service_that_is_away_does_not_stop_a_sign_up(world, stub, down) -> None:
    fake = getattr(world, down)
    for method in ("EnsurePersonalOrganization", "GrantCredits"):
        if method in fake._descriptor.methods_by_name:
            fake.always(method, Unavailable("away"))
    assert (await stub.SignUp(sign_up_request())).session.access_token
    assert await sign_ups(world) == 1


@pytest.mark.parametrize("email", [EMAIL, "ada@example.com", "ADA@EXAMPLE.COM"])
async def test_an_address_is_taken_however_it_is_written(world, stub, email) -> None:
    await stub.SignUp(sign_up_request())
    refusal = await refusal_of(stub.SignUp(sign_up_request(email=email)))
    assert (refusal.code, refusal.reason) == (EXISTS, "EMAIL_TAKEN")
    assert await count(world, "account") == await sign_ups(world) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"email": "ada"}, "INVALID_REQUEST"),
        ({"email": "ada@" + "x" * 260 + ".com"}, "INVALID_REQUEST"),
        ({"email": "a\x00da@example.com"}, "INVALID_REQUEST"),
        ({"password": "short 7"}, "INVALID_REQUEST"),
        ({"password": "x" * 129}, "INVALID_REQUEST"),
        ({"display_name": ""}, "INVALID_REQUEST"),
        ({"display_name": "  "}, "INVALID_REQUEST"),
        ({"display_name": "A\x00da"}, "INVALID_REQUEST"),
        ({"display_name": "x" * 81}, "INVALID_REQUEST"),
        ({"password": "password123"}, "WEAK_PASSWORD"),
        ({"password": EMAIL}, "WEAK_PASSWORD"),
        ({"password": "aaaaaaaaaa"}, "WEAK_PASSWORD"),
    ],
)
async def test_a_bad_form_is_refused_and_changes_nothing(world, stub, changes, reason) -> None:
    refusal = await refusal_of(stub.SignUp(sign_up_request(**changes)))
    assert (refusal.code, refusal.reason) == (INVALID, reason)
    assert await count(world, "account") == await count(world, "attempt") == 0


@pytest.mark.parametrize(
    "password", ["пароль не из списка", " leading and trailing ", "\ta tab is kept\t"]
)
async def test_a_password_is_taken_exactly_as_typed(stub, password) -> None:
    await stub.SignUp(sign_up_request(password=password))
    await stub.SignIn(sign_in_request(password=password))
    refusal = await refusal_of(stub.SignIn(sign_in_request(password=password.strip() + "x")))
    assert refusal.reason == "WRONG_CREDENTIALS"


async def test_a_key_signs_up_once_and_opens_a_session_each_time(world, stub) -> None:
    first = await stub.SignUp(sign_up_request(), metadata=key("k1"))
    again = await stub.SignUp(sign_up_request(), metadata=key("k1"))
    assert again.user == first.user
    assert again.session.session_id != first.session.session_id
    assert await count(world, "account") == await sign_ups(world) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"display_name": "Bob"},
        {"password": "another horse battery"},
    ],
)
async def test_a_key_is_for_one_form(world, stub, changes) -> None:
    await stub.SignUp(sign_up_request(), metadata=key("k1"))
    refusal = await refusal_of(stub.SignUp(sign_up_request(**changes), metadata=key("k1")))
    assert (refusal.code, refusal.reason) == (EXISTS, "IDEMPOTENCY_KEY_REUSED")
    assert await count(world, "account") == 1


async def test_strangers_with_the_same_key_do_not_meet(world, stub) -> None:
    ada = await stub.SignUp(sign_up_request(), metadata=key("1"))
    bob = await stub.SignUp(sign_up_request(email="bob@example.com"), metadata=key("1"))
    assert ada.user.user_id != bob.user.user_id
    again = await stub.SignUp(sign_up_request(email="BOB@example.com"), metadata=key("1"))
    assert again.user == bob.user
    assert await count(world, "account") == await sign_ups(world) == 2


async def test_a_refused_sign_up_leaves_its_key_free(stub) -> None:
    await stub.SignUp(sign_up_request())
    assert (await refusal_of(stub.SignUp(sign_up_request(), metadata=key("k")))).code is EXISTS
    await stub.SignUp(sign_up_request(email="bob@example.com"), metadata=key("k"))


async def test_neither_password_nor_token_is_stored_in_clear(world, stub) -> None:
    reply = await stub.SignUp(sign_up_request(), metadata=key("k1"))
    secrets = [PASSWORD, reply.session.refresh_token, reply.session.access_token]
    async with world.database.sessions() as session:
        for table in Base.metadata.sorted_tables:
            dump = str((await session.execute(sa.select(table))).all())
            hexed = dump.encode().hex()
            for secret in secrets:
                assert secret not in dump, table
                assert secret.encode().hex() not in hexed, table


async def test_one_address_at_once_is_one_user(world, stub) -> None:
    results = await asyncio.gather(
        *(stub.SignUp(sign_up_request()) for _ in range(8)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, Exception)]
    assert len(refused) == 7
    assert {read_refusal(error).reason for error in refused} == {"EMAIL_TAKEN"}
    assert await count(world, "account") == await count(world, "session") == 1


async def test_one_key_at_once_is_one_user(world, stub) -> None:
    replies = await asyncio.gather(
        *(stub.SignUp(sign_up_request(), metadata=key("k1")) for _ in range(8))
    )
    assert len({reply.user.user_id for reply in replies}) == 1
    assert len({reply.session.session_id for reply in replies}) == 8
    assert await count(world, "account") == 1


async def test_a_network_that_signs_up_too_often_must_wait(world, stub) -> None:
    here = from_address("203.0.113.9")
    weak = sign_up_request(email="taken@example.com")
    await stub.SignUp(weak)
    for _ in range(FREE_SIGN_UPS):
        assert (await refusal_of(stub.SignUp(weak, metadata=here))).reason == "EMAIL_TAKEN"
    refusal = await refusal_of(stub.SignUp(weak, metadata=here))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (refusal.reason, refusal.metadata) == (
        "TOO_MANY_ATTEMPTS",
        {"retry_after_seconds": "1"},
    )
    await stub.SignUp(sign_up_request(email="b@example.com"), metadata=from_address("192.0.2.1"))
    world.clock.advance(seconds=1)
    await stub.SignUp(sign_up_request(email="c@example.com"), metadata=here)
