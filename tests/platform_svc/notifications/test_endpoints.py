"""Webhook endpoints: whose they are, where they may lead, and what becomes of their secrets."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
import sqlalchemy as sa
from reelmesh.platform.notifications.v1 import webhooks_service_pb2 as pb
from reelmesh.platform.notifications.v1.webhooks_service_pb2_grpc import WebhooksServiceStub

from meshkit.ids import format_id
from meshkit.testing.identity import USER
from platform_svc.notifications.invariants import offenders
from platform_svc.notifications.webhooks import ENDPOINTS_MAX, takes
from tests.platform_svc.refusals import refusal_of
from tests.platform_svc.trail import changes_in

ORG = format_id("org", USER.organization_id)
URL = "http://127.0.0.1:9/hook"
KEY = (("idempotency-key", "k1"),)


def wanted(url: str = URL, **fields) -> pb.CreateWebhookEndpointRequest:
    return pb.CreateWebhookEndpointRequest(org_id=ORG, url=url, **fields)


async def audited(world) -> list[tuple[str, dict[str, str]]]:
    found = await changes_in(world.database)
    return [(one.action.removeprefix("webhook_endpoint."), dict(one.details)) for one in found]


async def test_an_endpoint_is_made_once_with_its_secret(world, webhooks) -> None:
    request = wanted(event_types=["run.*"], description="ours")
    made = await webhooks.CreateWebhookEndpoint(request, metadata=KEY)
    again = await webhooks.CreateWebhookEndpoint(request, metadata=KEY)
    assert made == again
    assert made.secret.startswith("whsec_")
    listed = await webhooks.ListWebhookEndpoints(pb.ListWebhookEndpointsRequest(org_id=ORG))
    assert list(listed.endpoints) == [made.endpoint]
    assert (made.endpoint.enabled, made.endpoint.event_types) == (True, ["run.*"])
    assert made.endpoint.created_by == format_id("usr", USER.user_id)
    # Only the host: what follows it is often a secret.
    assert await audited(world) == [("created", {"host": "127.0.0.1"})]


async def test_no_secret_is_readable_in_the_database(world, webhooks) -> None:
    made = await webhooks.CreateWebhookEndpoint(wanted(), metadata=KEY)
    await webhooks.RotateWebhookSecret(
        pb.RotateWebhookSecretRequest(org_id=ORG, endpoint_id=made.endpoint.endpoint_id),
        metadata=KEY,
    )
    secret = made.secret.removeprefix("whsec_")
    tables = ("webhook_endpoint", "webhook_secret", "idempotency_keys", "outbox")
    async with world.database.sessions() as session:
        for table in tables:
            rows = await session.scalars(sa.text(f"SELECT t::text FROM notifications.{table} t"))
            text = "\n".join(rows)
            assert text
            assert secret not in text
            assert secret.encode().hex() not in text


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://10.0.0.1/", "it leads into a private network"),
        ("https://169.254.169.254/latest/meta-data", "it leads into a private network"),
        ("http://1.1.1.1/", "it must use https"),
        ("https://no-such-host.invalid/", "its host is unknown"),
    ],
)
async def test_an_address_that_must_not_be_reached_is_refused(webhooks, url, problem) -> None:
    refusal = await refusal_of(webhooks.CreateWebhookEndpoint(wanted(url)))
    assert (refusal.reason, refusal.metadata["problem"]) == ("TARGET_NOT_ALLOWED", problem)
    made = await webhooks.CreateWebhookEndpoint(wanted())
    change = pb.UpdateWebhookEndpointRequest(
        org_id=ORG, endpoint_id=made.endpoint.endpoint_id, url=url
    )
    assert (await refusal_of(webhooks.UpdateWebhookEndpoint(change))).reason == refusal.reason


async def test_only_what_is_given_changes(world, webhooks) -> None:
    made = (await webhooks.CreateWebhookEndpoint(wanted(description="a"))).endpoint
    ids = {"org_id": ORG, "endpoint_id": made.endpoint_id}
    changed = await webhooks.UpdateWebhookEndpoint(
        pb.UpdateWebhookEndpointRequest(**ids, description="b")
    )
    assert (changed.description, changed.url, changed.enabled) == ("b", URL, True)
    types = pb.WebhookEventTypes(types=["run.failed"])
    changed = await webhooks.UpdateWebhookEndpoint(
        pb.UpdateWebhookEndpointRequest(**ids, event_types=types, enabled=False)
    )
    assert (changed.event_types, changed.disabled_reason) == (["run.failed"], "by_user")
    changed = await webhooks.UpdateWebhookEndpoint(
        pb.UpdateWebhookEndpointRequest(**ids, event_types=pb.WebhookEventTypes(), enabled=True)
    )
    assert (changed.event_types, changed.enabled, changed.disabled_reason) == ([], True, "")
    request = pb.GetWebhookEndpointRequest(**ids)
    assert await webhooks.GetWebhookEndpoint(request) == changed
    await webhooks.UpdateWebhookEndpoint(pb.UpdateWebhookEndpointRequest(**ids, enabled=True))
    assert [action for action, _ in await audited(world)] == ["created", *["updated"] * 3]


async def test_a_removed_endpoint_is_gone_with_all_that_was_its(world, webhooks) -> None:
    made = (await webhooks.CreateWebhookEndpoint(wanted())).endpoint
    await world.tell()
    request = pb.DeleteWebhookEndpointRequest(org_id=ORG, endpoint_id=made.endpoint_id)
    for _ in range(2):
        await webhooks.DeleteWebhookEndpoint(request)
    get = pb.GetWebhookEndpointRequest(org_id=ORG, endpoint_id=made.endpoint_id)
    assert (await refusal_of(webhooks.GetWebhookEndpoint(get))).reason == "ENDPOINT_NOT_FOUND"
    assert await world.deliverer().deliver_due() == 0
    assert [action for action, _ in await audited(world)] == ["created", "deleted"]


async def test_another_organization_neither_sees_nor_changes_it(world, webhooks) -> None:
    made = (await webhooks.CreateWebhookEndpoint(wanted())).endpoint
    org = uuid.UUID(int=6)
    stranger = replace(USER, user_id=uuid.UUID(int=7), organization_id=org)
    ids = {"org_id": format_id("org", org), "endpoint_id": made.endpoint_id}
    async with world.mesh.as_user(WebhooksServiceStub, stranger) as other:
        for call in (
            other.GetWebhookEndpoint(pb.GetWebhookEndpointRequest(**ids)),
            other.UpdateWebhookEndpoint(pb.UpdateWebhookEndpointRequest(**ids, enabled=False)),
            other.RotateWebhookSecret(pb.RotateWebhookSecretRequest(**ids)),
            other.TestWebhookEndpoint(pb.TestWebhookEndpointRequest(**ids)),
            other.ListWebhookDeliveries(pb.ListWebhookDeliveriesRequest(**ids)),
        ):
            assert (await refusal_of(call)).reason == "ENDPOINT_NOT_FOUND"
        await other.DeleteWebhookEndpoint(pb.DeleteWebhookEndpointRequest(**ids))
        get = pb.GetWebhookEndpointRequest(org_id=ORG, endpoint_id=made.endpoint_id)
        assert (await refusal_of(other.GetWebhookEndpoint(get))).reason == "NOT_A_MEMBER"
    assert await webhooks.GetWebhookEndpoint(get) == made


async def test_an_organization_has_so_many_endpoints_and_no_more(webhooks) -> None:
    for number in range(ENDPOINTS_MAX):
        await webhooks.CreateWebhookEndpoint(wanted(f"http://127.0.0.1:9/{number}"))
    refusal = await refusal_of(webhooks.CreateWebhookEndpoint(wanted()))
    assert refusal.reason == "TOO_MANY_ENDPOINTS"


async def test_what_breaks_the_facts_is_found(world, webhooks) -> None:
    await webhooks.CreateWebhookEndpoint(wanted())
    await world.tell()
    now = world.clock.now()
    async with world.database.sessions.begin() as session:
        assert await offenders(session, now=now) == {}
        await session.execute(sa.text("UPDATE notifications.webhook_endpoint SET disabled='gone'"))
        await session.execute(sa.text("UPDATE notifications.webhook_secret SET expires_at=now()"))
        found = await offenders(session, now=now)
    assert set(found) == {
        "an endpoint has one newest secret",
        "nothing waits for a disabled endpoint",
    }


@pytest.mark.parametrize(
    ("types", "type_", "taken"),
    [
        ((), "run.succeeded", True),
        (("run.succeeded",), "run.succeeded", True),
        (("run.succeeded",), "run.failed", False),
        (("run.*",), "run.failed", True),
        (("run.*",), "run", False),
        (("run.*",), "runner.failed", False),
        (("member.joined", "run.*"), "member.joined", True),
    ],
)
def test_endpoints_take_the_types_that_they_name(types, type_, taken) -> None:
    assert takes(types, type_) is taken
