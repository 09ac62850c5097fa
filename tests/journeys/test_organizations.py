"""Two people share an organization, and a program works for it, on the running platform."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from collections.abc import Awaitable

import pytest

from deploy.client import ApiError, ReelmeshClient, Session
from meshkit.memberships import REMEMBERED_SECONDS
from tests.journeys.mesh import Mesh, until

TOOL = "text-to-image"
PICTURE = {"prompt": "a red circle", "steps": 4}
MAIL_SECONDS_MAX = 60
TOKEN = re.compile(r"\brmi_[A-Za-z0-9_-]{43}\b")


def mails_to(mesh: Mesh, address: str) -> list[str]:
    """Give the texts of the mails to an address, oldest first."""
    texts = []
    for path in sorted(mesh.layout.mail.glob("*.eml")):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if message["To"] == address:
            body = message.get_body(("plain",))
            assert body is not None
            texts.append(body.get_content())
    return texts


async def invited(mesh: Mesh, owner: ReelmeshClient, org: str, address: str, role: str) -> str:
    """Invite an address into an organization and give the token of the mail."""
    path = f"/v1/orgs/{org}/invitations"
    made = await owner.call("POST", path, {"email": address, "role": role})
    assert made["state"] == "pending"
    await until(lambda: mails_to(mesh, address), MAIL_SECONDS_MAX)
    (text,) = mails_to(mesh, address)
    match = TOKEN.search(text)
    assert match is not None, text
    return match[0]


def org_of(client: ReelmeshClient) -> str:
    assert client.session is not None
    return client.session.org_id


def user_of(client: ReelmeshClient) -> str:
    assert client.session is not None
    return client.session.user_id


async def refused(call: Awaitable[object], status: int, reason: str) -> None:
    with pytest.raises(ApiError) as refusal:
        await call
    assert (refusal.value.status, refusal.value.reason) == (status, reason)


async def test_a_viewer_looks_and_a_member_works(mesh: Mesh) -> None:
    async with mesh.users(2) as (owner, guest):
        org = org_of(owner)
        guest.acting_in = org
        await refused(guest.run(TOOL, PICTURE), 403, "NOT_A_MEMBER")
        token = await invited(mesh, owner, org, f"{user_of(guest)}@example.com", "viewer")
        joined = await guest.call("POST", "/v1/invitations:accept", {"token": token})
        assert joined == {"org_id": org, "role": "viewer"}
        listed = (await guest.call("GET", "/v1/orgs"))["orgs"]
        assert [one["role"] for one in listed] == ["owner", "viewer"]

        assert (await guest.call("GET", f"/v1/orgs/{org}/balance"))["available"] == 500
        await refused(guest.run(TOOL, PICTURE), 403, "PERMISSION_DENIED")

        path = f"/v1/orgs/{org}/members/{user_of(guest)}"
        await owner.call("PATCH", path, {"role": "member"})
        await asyncio.sleep(REMEMBERED_SECONDS)  # The time within which a new role counts.
        run = await guest.run(TOOL, PICTURE)
        assert run["org_id"] == org

        await owner.call("DELETE", path)
        await asyncio.sleep(REMEMBERED_SECONDS)  # As above.
        await refused(guest.get_run(run["run_id"]), 403, "NOT_A_MEMBER")
        accept = guest.call("POST", "/v1/invitations:accept", {"token": token})
        await refused(accept, 400, "INVITATION_OVER")

        # The organization keeps what the guest began, and pays for it.
        ended = await owner.finished(run["run_id"])
        assert ended["state"] == "succeeded"
        balance = await owner.balance()
        assert (balance["available"], balance["held"]) == (500 - ended["credits_charged"], 0)
        guest.acting_in = None
        assert (await guest.balance())["available"] == 500
    assert await mesh.offenders() == {}


async def test_a_program_works_with_a_key_until_it_is_revoked(mesh: Mesh) -> None:
    async with mesh.user() as owner:
        keys = f"/v1/orgs/{org_of(owner)}/api-keys"
        scopes = ["runs.read", "runs.write"]
        wide = await owner.call("POST", keys, {"name": "worker", "scopes": scopes})
        narrow = await owner.call("POST", keys, {"name": "reader", "scopes": scopes[:1]})
        async with with_key(mesh, wide["key"]) as worker, with_key(mesh, narrow["key"]) as reader:
            run = await worker.run(TOOL, PICTURE)
            assert (await reader.get_run(run["run_id"]))["org_id"] == org_of(owner)
            await refused(reader.run(TOOL, PICTURE), 403, "SCOPE_MISSING")
            await refused(worker.call("GET", keys), 403, "SCOPE_MISSING")
            await refused(worker.call("GET", "/v1/me"), 403, "CALLER_NOT_ALLOWED")

            await owner.call("DELETE", f"{keys}/{wide['api_key']['key_id']}")
            await refused(worker.run(TOOL, PICTURE), 401, "API_KEY_INVALID")
            listed = (await owner.call("GET", keys))["api_keys"]
            assert {key["name"]: "revoked_at" in key for key in listed} == {
                "reader": False,
                "worker": True,
            }
            assert wide["key"] not in str(listed)
            for log in mesh.layout.logs.glob("*.log"):
                assert wide["key"] not in log.read_text(errors="replace"), log.name
            assert (await reader.finished(run["run_id"]))["state"] == "succeeded"


async def test_ownership_passes_to_another_member(mesh: Mesh) -> None:
    async with mesh.users(2) as (founder, heir):
        org = (await founder.call("POST", "/v1/orgs", {"name": "Studio"}))["org_id"]
        leave = f"/v1/orgs/{org}:leave"
        await refused(founder.call("POST", leave, {}), 400, "LAST_OWNER")
        token = await invited(mesh, founder, org, f"{user_of(heir)}@example.com", "member")
        await heir.call("POST", "/v1/invitations:accept", {"token": token})

        transfer = f"/v1/orgs/{org}:transfer-ownership"
        await founder.call("POST", transfer, {"user_id": user_of(heir)})
        members = (await heir.call("GET", f"/v1/orgs/{org}/members"))["members"]
        assert {one["user_id"]: one["role"] for one in members} == {
            user_of(founder): "admin",
            user_of(heir): "owner",
        }
        await founder.call("POST", leave, {})
        await refused(heir.call("POST", leave, {}), 400, "LAST_OWNER")


def with_key(mesh: Mesh, key: str) -> ReelmeshClient:
    """Give a client that calls as a program would."""
    return ReelmeshClient(mesh.gateway_url, Session("", "", key, ""))
