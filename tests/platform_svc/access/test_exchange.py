"""What the edge gets for a key, and what a bad key costs."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from envoy_ext_authz.v3 import external_auth_pb2 as check_pb
from reelmesh.platform.access.v1 import access_service_pb2 as pb
from sqlalchemy import event

from meshkit.context import ApiKey
from meshkit.ids import format_id, parse_id
from meshkit.peppers import Peppers
from meshkit.testing.identity import USER
from platform_svc.access.exchange import KeyExchange
from platform_svc.access.key import texts_of

ORG_ID = format_id("org", USER.organization_id)
CREATE = pb.CreateApiKeyRequest(org_id=ORG_ID, name="CI", scopes=["runs.read"], expires_in_days=1)
DAY_SECONDS = 86_400


@pytest.fixture
async def made(keys) -> pb.CreateApiKeyResponse:
    return await keys.CreateApiKey(CREATE)


def request(credential: str) -> check_pb.CheckRequest:
    message = check_pb.CheckRequest()
    message.attributes.request.http.headers["authorization"] = credential
    return message


async def traded(door, credential: str) -> str | None:
    """Give the token that the edge gets, or None if it is told to refuse."""
    answer = await door.Check(request(credential))
    if answer.WhichOneof("http_response") == "denied_response":
        assert answer.denied_response.status.code == 401
        assert answer.status.code == 16
        return None
    (option,) = answer.ok_response.headers
    assert option.header.key == "authorization"
    assert option.append_action == check_pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return option.header.value.removeprefix("Bearer ")


@contextmanager
def counted(database):
    """Count the statements that are run meanwhile."""
    statements = []

    def note(connection, cursor, statement, *rest) -> None:
        statements.append(statement)

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_key_becomes_its_makers_token_with_its_scopes(door, made, identity) -> None:
    for scheme in ("Bearer", "bearer"):
        token = await traded(door, f"{scheme} {made.key}")
        principal = identity.verifier().verify_user(token)
        key_id = parse_id("key", made.api_key.key_id, field="key_id")
        assert principal.api_key == ApiKey(key_id, frozenset({"runs.read"}))
        assert principal.user_id == USER.user_id
        assert principal.organization_id == USER.organization_id


@pytest.mark.parametrize("credential", ["", "Bearer eyJhbGciOi.x.y", "Basic rmk_x", "rmk_x"])
async def test_what_is_no_key_passes_as_it_is(door, credential) -> None:
    assert await door.Check(request(credential)) == check_pb.CheckResponse()


async def test_a_bad_checksum_costs_no_look_at_the_database(door, made, database) -> None:
    wrong = made.key[:-1] + ("a" if made.key[-1] != "a" else "b")
    with counted(database) as statements:
        for text in (wrong, "rmk_", made.key + "a", made.key[:-1]):
            assert await traded(door, f"Bearer {text}") is None
        assert statements == []
        assert await traded(door, f"Bearer {made.key}") is not None
        assert statements != []


async def test_an_unknown_key_is_refused(door, made) -> None:
    (text,) = texts_of(Peppers((b"the pepper of somebody else, long enough",)), "seed")
    assert await traded(door, f"Bearer {text}") is None


async def test_a_revoked_key_is_refused_at_once(door, keys, made) -> None:
    assert await traded(door, f"Bearer {made.key}") is not None
    await keys.RevokeApiKey(pb.RevokeApiKeyRequest(org_id=ORG_ID, key_id=made.api_key.key_id))
    assert await traded(door, f"Bearer {made.key}") is None


async def test_a_key_ends_with_its_time(door, made, clock) -> None:
    clock.advance(seconds=DAY_SECONDS - 1)
    assert await traded(door, f"Bearer {made.key}") is not None
    clock.advance(seconds=1)
    assert await traded(door, f"Bearer {made.key}") is None


async def test_a_token_is_made_once_a_minute(door, made, clock, identity) -> None:
    first = await traded(door, f"Bearer {made.key}")
    clock.advance(seconds=59)
    assert await traded(door, f"Bearer {made.key}") == first
    clock.advance(seconds=1)
    second = await traded(door, f"Bearer {made.key}")
    assert second != first
    # Each is good for as long as it may be handed out, and the way to the services.
    clock.advance(seconds=59)
    identity.verifier().verify_user(second)


async def test_uses_are_written_in_batches(door, keys, made, usage, clock, database) -> None:
    other = await keys.CreateApiKey(CREATE)
    await traded(door, f"Bearer {made.key}")
    clock.advance(seconds=1)
    used_at = clock.now()
    await traded(door, f"Bearer {made.key}")
    await traded(door, "Bearer rmk_nonsense")
    with counted(database) as statements:
        await usage.flush()
        await usage.flush()
    assert len([one for one in statements if one.startswith("UPDATE")]) == 1
    listed = await keys.ListApiKeys(pb.ListApiKeysRequest(org_id=ORG_ID))
    shown = {key.key_id: key.last_used_at.seconds for key in listed.api_keys}
    assert shown == {made.api_key.key_id: int(used_at.timestamp()), other.api_key.key_id: 0}


async def test_an_old_pepper_still_opens(exchange, door, made, identity, usage, clock) -> None:
    rotated = Peppers((b"a new pepper of these tests, long enough", *exchange.peppers.secrets))
    after = KeyExchange(exchange.sessions, clock.ambient, rotated, identity.signer, usage)
    assert await after.token_for(made.key) is not None
