"""A user and their program hear of a run's end, and the audit log shows who did what."""

from __future__ import annotations

import asyncio
import json

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from deploy.client import ApiError, ReelmeshClient
from meshkit.clock import utc_now
from platform_svc.notifications import invariants
from tests.journeys.mesh import Mesh
from tests.platform_svc.notifications.receiver import Receiver, receiving

TOOL = "text-to-image"
PICTURE = {"prompt": "a red circle", "steps": 4}
SECONDS_MAX = 60


def org_of(client: ReelmeshClient) -> str:
    assert client.session is not None
    return client.session.org_id


async def arrived(receiver: Receiver, type_: str) -> dict:
    """Wait for a message of a type and give its body."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            for _, body in receiver.requests:
                document = json.loads(body)
                if document["type"] == type_:
                    return document
            await asyncio.sleep(0.05)


async def first_notification(mesh: Mesh, client: ReelmeshClient) -> dict:
    """Follow the stream of events until it brings a notification."""
    async with (
        asyncio.timeout(SECONDS_MAX),
        mesh.http(client) as http,
        http.stream(
            "GET", "/v1/notifications:watch", headers={"accept": "text/event-stream"}
        ) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if event.get("notification"):
                return event
    raise AssertionError("the stream ended")


async def test_the_end_of_a_run_reaches_its_user_and_their_program(mesh: Mesh) -> None:
    async with mesh.user("hearing") as client, receiving() as receiver:
        hooks = f"/v1/orgs/{org_of(client)}/webhook-endpoints"
        wanted = {"url": receiver.url, "event_types": ["run.*"]}
        made = await client.call("POST", hooks, wanted)
        endpoint = f"{hooks}/{made['endpoint']['endpoint_id']}"
        watching = asyncio.create_task(first_notification(mesh, client))
        run = await client.run(TOOL, PICTURE)

        message = await arrived(receiver, "run.succeeded")
        assert message["data"]["run_id"] == run["run_id"]
        assert receiver.good_signatures(made["secret"]) == 1
        event = await watching
        shown = event["notification"]
        assert (shown["type"], shown["subject_id"]) == ("run.succeeded", run["run_id"])
        listed = await client.call("GET", "/v1/notifications")
        assert (listed["unread"], listed["notifications"]) == (1, [shown])
        await client.call("POST", f"/v1/notifications/{shown['notification_id']}:read", {})
        assert (await client.call("GET", "/v1/notifications"))["unread"] == 0

        (delivery,) = await delivered(client, endpoint, 1)
        replay = f"{endpoint}/deliveries/{delivery['delivery_id']}:replay"
        await client.call("POST", replay, {})
        await delivered(client, endpoint, 2)
        assert receiver.ids() == [delivery["message_id"]] * 2
    assert await offenders(mesh) == {}


async def offenders(mesh: Mesh) -> dict:
    """Give the facts about webhooks that do not hold, with what breaks them."""
    engine = create_async_engine(mesh._database_url(), poolclass=NullPool)
    try:
        async with async_sessionmaker(engine)() as session:
            return await invariants.offenders(session, now=utc_now())
    finally:
        await engine.dispose()


async def delivered(client: ReelmeshClient, endpoint: str, count: int) -> list[dict]:
    """Wait until so many deliveries have succeeded and give them."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            path = f"{endpoint}/deliveries?state=succeeded"
            found = (await client.call("GET", path))["deliveries"]
            if len(found) == count:
                return found
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("url", ["https://169.254.169.254/", "http://10.0.0.1/", "http://1.1.1.1/"])
async def test_no_webhook_leads_into_a_private_network(mesh: Mesh, url: str) -> None:
    async with mesh.user("probing") as client:
        hooks = f"/v1/orgs/{org_of(client)}/webhook-endpoints"
        with pytest.raises(ApiError) as refused:
            await client.call("POST", hooks, {"url": url})
        assert (refused.value.status, refused.value.reason) == (400, "TARGET_NOT_ALLOWED")


async def test_the_audit_log_tells_who_did_what_and_shows_tampering(mesh: Mesh) -> None:
    async with mesh.user("audited") as client:
        org = org_of(client)
        keys = f"/v1/orgs/{org}/api-keys"
        key = (await client.call("POST", keys, {"name": "k", "scopes": ["runs.read"]}))["api_key"]
        await client.call("DELETE", f"{keys}/{key['key_id']}")
        entries = await logged(client, org, "api_key.", 2)
        assert [one["action"] for one in entries] == ["api_key.revoked", "api_key.created"]
        assert {one["actor_id"] for one in entries} == {client.session.user_id}
        assert {one["network"] for one in entries} == {"127.0.0.1"}
        everything = await logged(client, org, "", 4)
        assert {one["action"] for one in everything[2:]} == {
            "user.signed_up",
            "organization.created",
        }
        verify = f"/v1/orgs/{org}/audit-log:verify"
        assert (await client.call("GET", verify))["intact"] is True

        await tamper(mesh, key["key_id"], "viewed", "created")
        verdict = await client.call("GET", verify)
        assert (verdict["intact"], verdict["broken_at"]) == (False, entries[1]["position"])
        command = await asyncio.to_thread(
            mesh.reelmesh, "audit", "verify", "--org", org, "--json", check=False
        )
        assert command.returncode == 1
        assert json.loads(command.stdout)["broken"] == 1
        # Whoever undoes it exactly leaves the log intact again, for the tests after this one.
        await tamper(mesh, key["key_id"], "created", "viewed")
        assert (await client.call("GET", verify))["intact"] is True


async def logged(client: ReelmeshClient, org: str, action: str, count: int) -> list[dict]:
    """Wait until the log has so many entries and give them, newest first."""
    path = f"/v1/orgs/{org}/audit-log?action={action}"
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            entries = (await client.call("GET", path))["entries"]
            if len(entries) >= count:
                return entries
            await asyncio.sleep(0.05)


async def tamper(mesh: Mesh, target: str, wanted: str, former: str) -> None:
    """Rewrite an entry as somebody can who may do anything to the database."""
    engine = create_async_engine(mesh._database_url(), poolclass=NullPool)
    change = (
        "UPDATE audit.entry SET action = :wanted WHERE target_ids ? :target AND action = :former"
    )
    values = {"wanted": f"api_key.{wanted}", "former": f"api_key.{former}", "target": target}
    try:
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE audit.entry DISABLE TRIGGER USER"))
            await connection.execute(text(change), values)
            await connection.execute(text("ALTER TABLE audit.entry ENABLE TRIGGER USER"))
    finally:
        await engine.dispose()
