"""QueueMail and the worker behind it."""

from __future__ import annotations

import asyncio
import logging

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from reelmesh.platform.notifications.v1.notifications_service_pb2_grpc import (
    NotificationsServiceStub,
)

from meshkit.migrations import drift
from meshkit.testing.signals import eventually
from platform_svc.notifications.jobs import LEASE, Forgetting
from platform_svc.notifications.mailer import NotDelivered, Refused
from platform_svc.notifications.tables import Base
from tests.platform_svc.refusals import refusal_of

from .factories import CODE, PARAMETERS, queue_request


async def rows(world) -> list[sa.Row]:
    async with world.database.sessions() as session:
        return (await session.execute(sa.text("SELECT * FROM notifications.mail"))).all()


async def only_row(world) -> sa.Row:
    (row,) = await rows(world)
    return row


async def test_the_tables_are_those_of_the_migrations(world) -> None:
    assert await drift(world.database.url, Base.metadata) == []


async def test_a_queued_mail_is_sent_with_its_text(world, stub) -> None:
    mail = await stub.QueueMail(queue_request())
    assert (mail.mail_id[:5], mail.state) == ("mail_", "queued")
    assert await world.worker().send_batch() == 1
    ((_, message),) = world.outbox.sent
    assert message["To"] == "ada@example.com"
    assert message["From"] == "Reelmesh <no-reply@reelmesh.test>"
    assert message["Subject"] == "Confirm your email address"
    for kind in ("plain", "html"):
        assert CODE in message.get_body((kind,)).get_content()
    assert await world.worker().send_batch() == 0


async def test_what_a_mail_said_is_erased_once_it_is_sent(world, stub, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        await stub.QueueMail(queue_request())
        assert (await only_row(world)).parameters == PARAMETERS
        await world.worker().send_batch()
    row = await only_row(world)
    assert (row.state, row.parameters) == ("sent", None)
    assert CODE not in repr(row)
    assert CODE not in caplog.text + repr([vars(record) for record in caplog.records])


async def test_the_same_key_is_the_same_mail_also_after_it_was_sent(world, stub) -> None:
    replies = await asyncio.gather(*(stub.QueueMail(queue_request()) for _ in range(8)))
    assert len({reply.mail_id for reply in replies}) == 1
    await world.worker().send_batch()
    again = await stub.QueueMail(queue_request())
    assert (again.mail_id, again.state) == (replies[0].mail_id, "sent")
    await world.worker().send_batch()
    assert len(world.outbox.sent) == 1


async def test_the_same_key_for_somebody_else_is_refused(stub) -> None:
    await stub.QueueMail(queue_request())
    refusal = await refusal_of(stub.QueueMail(queue_request(recipient="bob@example.com")))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "IDEMPOTENCY_KEY_REUSED",
    )


async def test_a_failed_delivery_is_tried_again_after_growing_pauses(world, stub) -> None:
    world.outbox.failures = [NotDelivered("away")] * 3
    await stub.QueueMail(queue_request())
    for pause in (5, 10, 20):
        assert await world.worker().send_batch() == 1
        world.clock.advance(seconds=pause - 1)
        assert await world.worker().send_batch() == 0
        world.clock.advance(seconds=1)
    assert (await only_row(world)).last_failure == "away"
    assert await world.worker().send_batch() == 1
    assert len(world.outbox.sent) == 1


async def test_a_mail_that_is_refused_for_good_is_given_up(world, stub) -> None:
    world.outbox.failures = [Refused("no such recipient")]
    await stub.QueueMail(queue_request())
    await world.worker().send_batch()
    row = await only_row(world)
    assert (row.state, row.parameters, row.last_failure) == ("failed", None, "no such recipient")


async def test_a_mail_is_not_sent_after_its_end(world, stub) -> None:
    expires_at = Timestamp()
    expires_at.FromDatetime(world.clock.now())
    await stub.QueueMail(queue_request(expires_at=expires_at))
    await world.worker().send_batch()
    row = await only_row(world)
    assert (row.state, row.parameters, row.last_failure) == ("failed", None, "expired")
    assert world.outbox.sent == []


async def test_two_workers_send_each_mail_once(world, stub) -> None:
    for number in range(30):
        await stub.QueueMail(queue_request(idempotency_key=f"key {number}"))
    counts = await asyncio.gather(*(world.worker().send_batch() for _ in range(2)))
    assert sum(counts) == 30
    assert len({mail_id for mail_id, _ in world.outbox.sent}) == 30


async def test_a_mail_that_breaks_the_worker_waits_and_holds_up_no_other(world, stub) -> None:
    world.outbox.failures = [RuntimeError("unforeseen")]
    for number in range(3):
        await stub.QueueMail(queue_request(idempotency_key=f"key {number}"))
    await world.worker().send_batch()
    assert len(world.outbox.sent) == 2
    # As after the death of a worker, its lease must end first.
    assert await world.worker().send_batch() == 0
    world.clock.advance(seconds=LEASE.total_seconds())
    assert await world.worker().send_batch() == 1
    assert len(world.outbox.sent) == 3


async def test_the_running_worker_sends_at_once(world, stub) -> None:
    running = asyncio.create_task(world.worker().run())
    try:
        await stub.QueueMail(queue_request())

        async def is_sent() -> bool:
            return len(world.outbox.sent) == 1

        await eventually(is_sent)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_old_mails_are_forgotten_and_waiting_ones_kept(world, stub) -> None:
    await stub.QueueMail(queue_request())
    await world.worker().send_batch()
    await stub.QueueMail(queue_request(idempotency_key="waits"))
    world.clock.advance(seconds=31 * 86400)
    await Forgetting(world.database.sessions, world.clock.ambient).forget()
    assert (await only_row(world)).idempotency_key == "waits"


@pytest.mark.parametrize(
    ("changes", "reason", "metadata"),
    [
        ({"template": "welcom"}, "UNKNOWN_TEMPLATE", {"template": "welcom"}),
        (
            {"parameters": {"display_name": "Ada", "minutes": "30", "cod": CODE}},
            "WRONG_PARAMETERS",
            {"missing": "code", "unexpected": "cod", "unprintable": ""},
        ),
        (
            {"parameters": PARAMETERS | {"display_name": "Ada\r\nBcc: all@example.com"}},
            "WRONG_PARAMETERS",
            {"missing": "", "unexpected": "", "unprintable": "display_name"},
        ),
    ],
)
async def test_what_cannot_be_rendered_is_refused(stub, changes, reason, metadata) -> None:
    refusal = await refusal_of(stub.QueueMail(queue_request(**changes)))
    assert (refusal.code, refusal.reason, refusal.metadata) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        reason,
        metadata,
    )


async def test_a_bad_recipient_is_refused(stub) -> None:
    for recipient in ("", "ada", "ada@example.com\nBcc: bob@example.com", "a b@example.com"):
        refusal = await refusal_of(stub.QueueMail(queue_request(recipient=recipient)))
        assert refusal.reason == "INVALID_REQUEST"


async def test_only_services_may_queue_mails(world) -> None:
    async with world.mesh.as_user(NotificationsServiceStub) as user:
        refusal = await refusal_of(user.QueueMail(queue_request()))
        assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    async with world.mesh.as_service(NotificationsServiceStub, "inference") as other:
        refusal = await refusal_of(other.QueueMail(queue_request()))
        assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    async with world.mesh.as_anyone(NotificationsServiceStub) as anyone:
        refusal = await refusal_of(anyone.QueueMail(queue_request()))
        assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
