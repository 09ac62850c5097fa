"""API keys: made, shown once, listed, revoked."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest
import sqlalchemy as sa
from reelmesh.platform.access.v1 import access_service_pb2 as pb

from meshkit.ids import format_id
from meshkit.migrations import drift
from meshkit.testing.identity import USER
from platform_svc.access import commands as module
from platform_svc.access.key import is_well_formed
from platform_svc.access.tables import ApiKeyRow, Base, IdempotencyKeyRow
from tests.platform_svc.refusals import read_refusal, refusal_of
from tests.platform_svc.trail import changes_in

ORG_ID = format_id("org", USER.organization_id)
DAY_SECONDS = 86_400


def create(**changes) -> pb.CreateApiKeyRequest:
    return pb.CreateApiKeyRequest(
        **({"org_id": ORG_ID, "name": "CI", "scopes": ["runs.write", "runs.read"]} | changes)
    )


def revoke(made: pb.CreateApiKeyResponse, org_id: str = ORG_ID) -> pb.RevokeApiKeyRequest:
    return pb.RevokeApiKeyRequest(org_id=org_id, key_id=made.api_key.key_id)


async def why(call) -> tuple[grpc.StatusCode, str]:
    refusal = await refusal_of(call)
    return refusal.code, refusal.reason


async def test_migrations_agree_with_the_tables(database) -> None:
    assert await drift(database.url, Base.metadata) == []


async def test_a_key_is_shown_once_and_stored_nowhere(keys, database, clock) -> None:
    made = await keys.CreateApiKey(create(), metadata=(("idempotency-key", "k"),))
    assert is_well_formed(made.key)
    assert made.key.startswith(made.api_key.prefix)
    assert list(made.api_key.scopes) == ["runs.read", "runs.write"]
    assert made.api_key.created_by == format_id("usr", USER.user_id)
    lifetime = made.api_key.expires_at.seconds - int(clock.now().timestamp())
    assert lifetime == 90 * DAY_SECONDS
    listed = await keys.ListApiKeys(pb.ListApiKeysRequest(org_id=ORG_ID))
    assert list(listed.api_keys) == [made.api_key]
    async with database.sessions() as session:
        for table in (ApiKeyRow, IdempotencyKeyRow):
            rows = (await session.execute(sa.select(table.__table__))).all()
            assert len(rows) == 1
            assert made.key not in repr(rows)
            assert made.key[len(made.api_key.prefix) :] not in repr(rows)


async def test_a_repeated_call_gives_the_same_key(keys) -> None:
    metadata = (("idempotency-key", "k"),)
    made = await asyncio.gather(*(keys.CreateApiKey(create(), metadata=metadata) for _ in range(3)))
    assert made[0] == made[1] == made[2]
    other = keys.CreateApiKey(create(name="other"), metadata=metadata)
    assert await why(other) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")
    assert (await keys.CreateApiKey(create())).key != made[0].key


@pytest.mark.parametrize("scope", ["members.write", "api_keys.write", "organizations.transfer"])
async def test_no_key_manages_members_or_keys(keys, scope) -> None:
    refusal = await refusal_of(keys.CreateApiKey(create(scopes=["runs.read", scope])))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.reason, refusal.metadata) == ("INVALID_SCOPE", {"scope": scope})


@pytest.mark.parametrize("scope", ["credits.read", "runs.fly"])
async def test_nobody_gives_a_key_what_they_lack(keys, scope) -> None:
    refusal = await refusal_of(keys.CreateApiKey(create(scopes=["runs.read", scope])))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    assert (refusal.reason, refusal.metadata) == ("SCOPE_NOT_OWN", {"scope": scope})
    assert not (await keys.ListApiKeys(pb.ListApiKeysRequest(org_id=ORG_ID))).api_keys


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"scopes": []},
        {"scopes": ["runs.read", "runs.read"]},
        {"expires_in_days": 366},
        {"expires_in_days": -1},
    ],
)
async def test_bad_fields_are_refused(keys, changes) -> None:
    code, _ = await why(keys.CreateApiKey(create(**changes)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_working_keys_are_bounded(keys, monkeypatch) -> None:
    monkeypatch.setattr(module, "WORKING_MAX", 2)
    results = await asyncio.gather(
        *(keys.CreateApiKey(create()) for _ in range(3)), return_exceptions=True
    )
    (refused,) = [one for one in results if isinstance(one, Exception)]
    assert read_refusal(refused).reason == "TOO_MANY_API_KEYS"
    made = next(one for one in results if not isinstance(one, Exception))
    await keys.RevokeApiKey(revoke(made))
    await keys.CreateApiKey(create())


async def test_revoking_twice_is_harmless(keys, clock) -> None:
    made = await keys.CreateApiKey(create())
    first = await keys.RevokeApiKey(revoke(made))
    assert first.revoked_at.seconds == int(clock.now().timestamp())
    clock.advance(seconds=5)
    assert await keys.RevokeApiKey(revoke(made)) == first


async def test_members_revoke_their_own_keys_and_admins_all(keys, colleague, roles) -> None:
    made = await keys.CreateApiKey(create())
    not_own = (grpc.StatusCode.PERMISSION_DENIED, "NOT_OWN_API_KEY")
    assert await why(colleague.RevokeApiKey(revoke(made))) == not_own
    roles.permissions[uuid.UUID(int=7)].add("api_keys.manage")
    assert (await colleague.RevokeApiKey(revoke(made))).revoked_at.seconds > 0


async def test_keys_of_another_organization_do_not_exist(keys, roles) -> None:
    missing = pb.RevokeApiKeyRequest(org_id=ORG_ID, key_id=format_id("key", uuid.UUID(int=3)))
    not_found = (grpc.StatusCode.NOT_FOUND, "API_KEY_NOT_FOUND")
    assert await why(keys.RevokeApiKey(missing)) == not_found
    made = await keys.CreateApiKey(create())
    elsewhere = format_id("org", uuid.UUID(int=4))
    code, reason = await why(keys.RevokeApiKey(revoke(made, elsewhere)))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_A_MEMBER")


async def test_keys_are_listed_in_pages_newest_first(keys, clock) -> None:
    for number in range(5):
        await keys.CreateApiKey(create(name=f"key {number}"))
        clock.advance(seconds=number % 2)
    seen, request = [], pb.ListApiKeysRequest(org_id=ORG_ID, page_size=2)
    while True:
        page = await keys.ListApiKeys(request)
        seen += [key.name for key in page.api_keys]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert sorted(seen) == [f"key {number}" for number in range(5)]
    assert seen[0] == "key 4"
    request.page_token = "made up"
    assert (await refusal_of(keys.ListApiKeys(request))).reason == "INVALID_PAGE_TOKEN"


async def test_making_and_revoking_a_key_is_in_the_audit_log_once(keys, database) -> None:
    await refusal_of(keys.CreateApiKey(create(scopes=["api_keys.manage"])))
    for _ in range(2):
        made = await keys.CreateApiKey(create(), metadata=(("idempotency-key", "k"),))
    for _ in range(2):
        await keys.RevokeApiKey(revoke(made))
    entries = await changes_in(database)
    assert [one.action for one in entries] == ["api_key.created", "api_key.revoked"]
    for entry in entries:
        assert (entry.org_id, list(entry.target_ids)) == (ORG_ID, [made.api_key.key_id])
        assert entry.actor_id == format_id("usr", USER.user_id)
        assert entry.details["scopes"] == "runs.read runs.write"
        assert made.key not in str(entry)
