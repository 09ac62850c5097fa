"""Webhooks on their way: signed, tried again, given up, replayed, over a real socket."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from aiohttp import web
from reelmesh.platform.notifications.v1 import inbox_service_pb2
from reelmesh.platform.notifications.v1 import webhooks_service_pb2 as pb

from meshkit.ids import format_id
from meshkit.testing.identity import USER
from meshkit.testing.signals import eventually
from platform_svc.notifications.jobs import Forgetting, WebhookCheck
from platform_svc.notifications.targets import TargetGuard
from platform_svc.notifications.webhooks import ATTEMPTS_MAX, PAUSES, Answer, pause_after
from tests.platform_svc.refusals import refusal_of
from tests.platform_svc.trail import changes_in, notices_in

from .receiver import receiving

ORG = format_id("org", USER.organization_id)
DAY = timedelta(days=1).total_seconds()


async def endpoint(webhooks, receiver, **fields) -> pb.WebhookEndpointSecret:
    request = pb.CreateWebhookEndpointRequest(org_id=ORG, url=receiver.url, **fields)
    return await webhooks.CreateWebhookEndpoint(request)


def ids_of(made: pb.WebhookEndpointSecret) -> dict[str, str]:
    return {"org_id": ORG, "endpoint_id": made.endpoint.endpoint_id}


async def deliveries(webhooks, made, **fields) -> list[pb.WebhookDelivery]:
    request = pb.ListWebhookDeliveriesRequest(**ids_of(made), **fields)
    return list((await webhooks.ListWebhookDeliveries(request)).deliveries)


async def look_at(webhooks, made, delivery) -> pb.WebhookDelivery:
    return await webhooks.GetWebhookDelivery(
        pb.GetWebhookDeliveryRequest(**ids_of(made), delivery_id=delivery.delivery_id)
    )


async def now_of(webhooks, made) -> pb.WebhookEndpoint:
    return await webhooks.GetWebhookEndpoint(pb.GetWebhookEndpointRequest(**ids_of(made)))


async def offenders(world):
    return await WebhookCheck(world.database.sessions, world.clock.ambient).look()


async def test_a_notice_arrives_signed_and_as_it_was_told(world, webhooks, receiver) -> None:
    made = await endpoint(webhooks, receiver)
    event_id = await world.tell()
    assert await world.deliverer().deliver_due() == 1
    headers, body = receiver.requests[0]
    assert headers["webhook-id"] == format_id("msg", event_id)
    assert headers["webhook-timestamp"] == str(int(world.clock.now().timestamp()))
    assert headers["content-type"] == "application/json"
    assert receiver.good_signatures(made.secret) == 1
    assert json.loads(body) == {
        "type": "run.succeeded",
        "timestamp": "2026-01-10T09:00:00+00:00",
        "data": {"run_id": "run_1", "credits_charged": 4},
    }
    (delivery,) = await deliveries(webhooks, made)
    assert (delivery.state, delivery.attempts, delivery.is_replay) == ("succeeded", 1, False)
    shown = await look_at(webhooks, made, delivery)
    assert shown.payload == body.decode()
    assert [(one.number, one.status, one.failure) for one in shown.log] == [(1, 204, "")]
    assert await offenders(world) == {}


async def test_each_endpoint_gets_what_it_takes_once(world, webhooks, receiver) -> None:
    await endpoint(webhooks, receiver, event_types=["run.*"])
    await endpoint(webhooks, receiver, event_types=["member.joined"])
    await endpoint(webhooks, receiver)
    await world.tell("run.failed")
    await world.tell("member.joined", user_ids=[])
    workers = [world.deliverer() for _ in range(3)]
    await asyncio.gather(*(worker.deliver_due() for worker in workers))
    assert sorted(json.loads(body)["type"] for _, body in receiver.requests) == [
        "member.joined",
        "member.joined",
        "run.failed",
        "run.failed",
    ]


async def test_a_failure_is_tried_again_with_the_same_id(world, webhooks, receiver) -> None:
    made = await endpoint(webhooks, receiver)
    receiver.answers = [web.Response(status=500, text="no\0pe" + "x" * 5000)]
    await world.tell()
    worker = world.deliverer()
    await worker.deliver_due()
    assert await worker.deliver_due() == 0
    assert (await now_of(webhooks, made)).HasField("failing_since")
    world.clock.advance(seconds=6)
    await worker.deliver_due()
    assert len(set(receiver.ids())) == 1
    assert (
        receiver.requests[0][0]["webhook-timestamp"] < receiver.requests[1][0]["webhook-timestamp"]
    )
    (delivery,) = await deliveries(webhooks, made, state="succeeded")
    first, second = (await look_at(webhooks, made, delivery)).log
    assert (first.status, first.failure) == (500, "status 500")
    assert len(first.response) == 2048
    assert first.response.startswith("no\N{REPLACEMENT CHARACTER}pe")
    assert (second.status, second.failure) == (204, "")
    assert not (await now_of(webhooks, made)).HasField("failing_since")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (
            web.Response(status=302, headers={"location": "http://169.254.169.254/"}),
            "status 302: redirects are not followed",
        ),
        (web.Response(status=404), "status 404"),
    ],
)
async def test_anything_but_2xx_is_a_failure(world, webhooks, receiver, answer, failure) -> None:
    made = await endpoint(webhooks, receiver)
    receiver.answers = [answer]
    await world.tell()
    await world.deliverer().deliver_due()
    (delivery,) = await deliveries(webhooks, made, state="pending")
    (attempt,) = (await look_at(webhooks, made, delivery)).log
    assert attempt.failure == failure
    assert len(receiver.requests) == 1


async def test_nobody_listening_is_a_failure_without_a_status(world, webhooks, receiver) -> None:
    receiver.url = "http://127.0.0.1:1/"
    made = await endpoint(webhooks, receiver)
    await world.tell()
    await world.deliverer().deliver_due()
    (delivery,) = await deliveries(webhooks, made)
    (attempt,) = (await look_at(webhooks, made, delivery)).log
    assert (attempt.status, attempt.failure) == (0, "no answer: the connection failed")


async def test_the_target_is_judged_again_at_each_delivery(world, webhooks, receiver) -> None:
    made = await endpoint(webhooks, receiver)
    await world.tell()
    await world.deliverer(TargetGuard()).deliver_due()
    (delivery,) = await deliveries(webhooks, made)
    (attempt,) = (await look_at(webhooks, made, delivery)).log
    assert attempt.failure == "not sent: it leads into a private network"
    assert receiver.requests == []


async def test_a_message_is_given_up_after_its_last_attempt(world, webhooks, receiver) -> None:
    made = await endpoint(webhooks, receiver)
    receiver.answers = [web.Response(status=503) for _ in range(ATTEMPTS_MAX)]
    await world.tell()
    worker = world.deliverer()
    for pause in (*PAUSES, timedelta(0)):
        assert await worker.deliver_due() == 1
        assert await worker.deliver_due() == 0
        world.clock.advance(seconds=1.1 * pause.total_seconds())
    (delivery,) = await deliveries(webhooks, made)
    assert (delivery.state, delivery.attempts) == ("failed", ATTEMPTS_MAX)
    assert (await now_of(webhooks, made)).enabled
    world.clock.advance(seconds=DAY)
    assert await worker.deliver_due() == 0
    assert await offenders(world) == {}


async def test_an_endpoint_that_fails_for_days_is_disabled_and_its_owner_told(
    world, webhooks, receiver
) -> None:
    made = await endpoint(webhooks, receiver)
    receiver.answers = [web.Response(status=500) for _ in range(9)]
    worker = world.deliverer()
    await world.tell()
    await worker.deliver_due()
    world.clock.advance(seconds=4.9 * DAY)
    await world.tell()
    await worker.deliver_due()
    assert (await now_of(webhooks, made)).enabled
    world.clock.advance(seconds=0.2 * DAY)
    await world.tell()
    await worker.deliver_due()
    shown = await now_of(webhooks, made)
    assert (shown.enabled, shown.disabled_reason) == (False, "failing")
    assert {one.state for one in await deliveries(webhooks, made)} <= {"failed", "canceled"}
    assert await offenders(world) == {}
    (notice,) = await notices_in(world.database)
    assert (notice.type, notice.subject_id) == (
        "webhook_endpoint.disabled",
        made.endpoint.endpoint_id,
    )
    assert list(notice.user_ids) == [made.endpoint.created_by]
    entry = (await changes_in(world.database))[-1]
    assert (entry.action, entry.actor_kind) == ("webhook_endpoint.disabled", "system")
    assert dict(entry.details) == {"reason": "failing"}


async def test_410_ends_an_endpoint_at_once(world, webhooks, receiver) -> None:
    made = await endpoint(webhooks, receiver)
    receiver.answers = [web.Response(status=410)]
    await world.tell()
    await world.deliverer().deliver_due()
    shown = await now_of(webhooks, made)
    assert (shown.enabled, shown.disabled_reason) == (False, "gone")
    await world.tell()
    assert await world.deliverer().deliver_due() == 0
    assert len(await notices_in(world.database)) == 1


async def test_disabling_cancels_and_recovering_brings_back(world, webhooks, receiver) -> None:
    made = await endpoint(webhooks, receiver)
    first = await world.tell()
    second = await world.tell()
    await webhooks.UpdateWebhookEndpoint(
        pb.UpdateWebhookEndpointRequest(**ids_of(made), enabled=False)
    )
    recover = pb.RecoverWebhookEndpointRequest(**ids_of(made))
    recover.since.FromDatetime(world.clock.now())
    for call in (
        webhooks.RecoverWebhookEndpoint(recover),
        webhooks.TestWebhookEndpoint(pb.TestWebhookEndpointRequest(**ids_of(made))),
    ):
        assert (await refusal_of(call)).reason == "ENDPOINT_DISABLED"
    assert [one.state for one in await deliveries(webhooks, made)] == ["canceled"] * 2
    await webhooks.UpdateWebhookEndpoint(
        pb.UpdateWebhookEndpointRequest(**ids_of(made), enabled=True)
    )
    assert (await webhooks.RecoverWebhookEndpoint(recover)).replayed == 2
    assert (await webhooks.RecoverWebhookEndpoint(recover)).replayed == 0
    await world.deliverer().deliver_due()
    assert sorted(receiver.ids()) == sorted(format_id("msg", one) for one in (first, second))


async def test_a_replay_is_a_delivery_of_its_own_with_the_same_message(
    world, webhooks, receiver
) -> None:
    made = await endpoint(webhooks, receiver)
    await world.tell()
    await world.deliverer().deliver_due()
    (first,) = await deliveries(webhooks, made)
    request = pb.ReplayWebhookDeliveryRequest(**ids_of(made), delivery_id=first.delivery_id)
    key = (("idempotency-key", "again"),)
    again = await webhooks.ReplayWebhookDelivery(request, metadata=key)
    assert await webhooks.ReplayWebhookDelivery(request, metadata=key) == again
    await world.deliverer().deliver_due()
    assert receiver.ids() == [first.message_id] * 2
    newest, _ = await deliveries(webhooks, made)
    assert (newest.is_replay, newest.state) == (True, "succeeded")
    assert newest.delivery_id == again.delivery_id


async def test_a_test_message_takes_the_same_way(world, webhooks, receiver) -> None:
    made = await endpoint(webhooks, receiver, event_types=["run.failed"])
    sent = await webhooks.TestWebhookEndpoint(pb.TestWebhookEndpointRequest(**ids_of(made)))
    assert (sent.type, sent.state) == ("webhook.test", "pending")
    await world.deliverer().deliver_due()
    assert receiver.ids() == [sent.message_id]
    assert receiver.good_signatures(made.secret) == 1


async def test_a_rotated_secret_signs_beside_the_former_one_for_a_while(
    world, webhooks, receiver
) -> None:
    made = await endpoint(webhooks, receiver)
    rotate = pb.RotateWebhookSecretRequest(**ids_of(made), overlap_hours=2)
    rotated = await webhooks.RotateWebhookSecret(rotate)
    assert rotated.secret != made.secret
    assert rotated.endpoint.HasField("former_secret_expires_at")
    await world.tell()
    await world.deliverer().deliver_due()
    assert (receiver.good_signatures(made.secret), receiver.good_signatures(rotated.secret)) == (
        1,
        1,
    )
    world.clock.advance(seconds=2 * 3600)
    await world.tell()
    await world.deliverer().deliver_due()
    assert (receiver.good_signatures(made.secret), receiver.good_signatures(rotated.secret)) == (
        0,
        1,
    )
    leaked = pb.RotateWebhookSecretRequest(**ids_of(made), overlap_hours=0)
    last = await webhooks.RotateWebhookSecret(leaked)
    await world.tell()
    await world.deliverer().deliver_due()
    assert (receiver.good_signatures(rotated.secret), receiver.good_signatures(last.secret)) == (
        0,
        1,
    )


async def test_the_worker_delivers_when_it_is_woken(world, webhooks, receiver) -> None:
    await endpoint(webhooks, receiver)
    running = asyncio.create_task(world.deliverer().run())
    try:
        await world.tell()
        await eventually(lambda: has_arrived(receiver))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_one_endpoint_gets_many_messages_without_a_pause(world, webhooks, receiver) -> None:
    """Nothing wakes the worker here but its own deliveries, which end."""
    await endpoint(webhooks, receiver)
    for _ in range(14):
        await world.tell()
    world.asked.clear()
    running = asyncio.create_task(world.deliverer().run())
    try:
        await eventually(lambda: has_arrived(receiver, 14))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_slow_endpoint_holds_up_nobody_else(world, webhooks, receiver) -> None:
    async with receiving() as slow:
        slow.may_answer.clear()
        await endpoint(webhooks, slow)
        await endpoint(webhooks, receiver)
        for _ in range(10):
            await world.tell()
        world.asked.clear()
        running = asyncio.create_task(world.deliverer().run())
        try:
            await eventually(lambda: has_arrived(receiver, 10))
            assert len(slow.requests) <= 4
        finally:
            slow.may_answer.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def has_arrived(receiver, count: int = 1) -> bool:
    return len(receiver.requests) == count


async def test_a_worker_that_died_leaves_its_delivery_to_others(world, webhooks, receiver) -> None:
    made = await endpoint(webhooks, receiver)
    await world.tell()
    dying = world.deliverer()
    await dying.start_due()
    for task in dying._under_way:
        task.cancel()
    assert await world.deliverer().deliver_due() == 0
    world.clock.advance(seconds=61)
    await world.deliverer().deliver_due()
    (delivery,) = await deliveries(webhooks, made)
    assert (delivery.state, delivery.attempts) == ("succeeded", 2)


async def test_messages_are_forgotten_after_a_month_unless_one_waits(
    world, webhooks, receiver
) -> None:
    made = await endpoint(webhooks, receiver)
    await world.tell()
    await world.deliverer().deliver_due()
    await world.tell()
    world.clock.advance(seconds=31 * DAY)
    await Forgetting(world.database.sessions, world.clock.ambient).forget()
    assert [one.state for one in await deliveries(webhooks, made)] == ["pending"]


async def test_a_disabled_endpoint_hears_nothing_but_its_users_do(
    world, webhooks, inbox, receiver
) -> None:
    made = await endpoint(webhooks, receiver)
    await webhooks.UpdateWebhookEndpoint(
        pb.UpdateWebhookEndpointRequest(**ids_of(made), enabled=False)
    )
    await world.tell()
    assert await deliveries(webhooks, made) == []
    request = inbox_service_pb2.ListNotificationsRequest()
    assert len((await inbox.ListNotifications(request)).notifications) == 1


def test_pauses_grow_and_retry_after_only_makes_them_longer() -> None:
    failed = Answer(500, "status 500")
    for number, pause in enumerate(PAUSES, start=1):
        assert pause_after(number, failed, jitter=0) == pause
        assert pause < pause_after(number, failed, jitter=1) <= 1.1 * pause
    assert pause_after(ATTEMPTS_MAX, failed, jitter=0) is None
    soon = Answer(429, "status 429", retry_after=timedelta(seconds=1))
    late = Answer(429, "status 429", retry_after=timedelta(hours=1))
    never = Answer(429, "status 429", retry_after=timedelta(days=9))
    assert pause_after(1, soon, jitter=0) == PAUSES[0]
    assert pause_after(1, late, jitter=0) == timedelta(hours=1)
    assert pause_after(1, never, jitter=0) == timedelta(days=1)
