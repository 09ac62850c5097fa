"""EventsService through a real server on a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import grpc
import sqlalchemy as sa
from reelmesh.platform.events.v1 import events_events_pb2 as events_pb
from reelmesh.platform.events.v1 import events_service_pb2 as pb
from reelmesh.platform.events.v1.events_service_pb2_grpc import EventsServiceStub

from meshkit.ids import format_id
from meshkit.inbox import EventConsumer
from meshkit.outbox import OutboxRelay, outbox_table
from meshkit.tasks import Supervisor
from meshkit.testing.identity import USER
from platform_svc.events.commands import EVENTS_COLLECTED
from platform_svc.events.invariants import offenders
from platform_svc.events.jobs import Sweeper
from tests.platform_svc.refusals import refusal_of

from .factories import event, numbered, request


async def published(database) -> list[events_pb.CollectedEvent]:
    """Give every event that waits in the outbox."""
    async with database.sessions() as session:
        payloads = await session.scalars(sa.select(outbox_table("events").c.payload))
        batches = [events_pb.EventsCollected.FromString(payload) for payload in payloads]
    return [one for batch in batches for one in batch.events]


async def test_a_batch_is_taken_in_part(user, database) -> None:
    reply = await user.CollectEvents(
        request(event("a"), event("b", properties={}), event("c"), event("a"))
    )
    assert (reply.accepted, reply.duplicates) == (2, 1)
    assert [(one.index, one.message_id, one.reason) for one in reply.rejected] == [
        (1, "b", "SCHEMA_VIOLATION")
    ]
    taken = await published(database)
    assert [one.properties["tool"] for one in taken] == ["text-to-image"] * 2
    assert {one.org_id for one in taken} == {format_id("org", USER.organization_id)}
    assert {one.user_id for one in taken} == {format_id("usr", USER.user_id)}


async def test_a_batch_that_is_sent_again_is_counted_once(user, database) -> None:
    batch = request(*numbered(3))
    first = await user.CollectEvents(batch)
    again = await user.CollectEvents(batch)
    assert (first.accepted, first.duplicates) == (3, 0)
    assert (again.accepted, again.duplicates) == (0, 3)
    assert len(await published(database)) == 3


async def test_batches_that_come_at_once_take_each_event_once(user, database) -> None:
    events = numbered(20)
    batches = [request(*events), request(*reversed(events))] * 4
    replies = await asyncio.gather(*(user.CollectEvents(one) for one in batches))
    assert sum(reply.accepted for reply in replies) == 20
    assert sum(reply.duplicates for reply in replies) == 7 * 20
    ids = [one.event_id for one in await published(database)]
    assert len(ids) == len(set(ids)) == 20


async def test_the_same_message_of_another_organization_is_another_event(
    user, mesh, database
) -> None:
    other = replace(USER, organization_id=UUID(int=7))
    async with mesh.as_user(EventsServiceStub, other) as stranger:
        for stub in (user, stranger):
            assert (await stub.CollectEvents(request(event()))).accepted == 1
    assert len({one.event_id for one in await published(database)}) == 2


async def test_failed_events_are_kept_for_their_organization_alone(user, mesh, clock) -> None:
    for message_id in ("a", "b", "c"):
        await user.CollectEvents(request(event(message_id, name="no such")))
        clock.advance(seconds=1)
    await user.CollectEvents(request(event("c", name="no such")))  # Kept once.

    first = await user.ListFailedEvents(pb.ListFailedEventsRequest(page_size=2))
    rest = await user.ListFailedEvents(
        pb.ListFailedEventsRequest(page_size=2, page_token=first.next_page_token)
    )
    listed = [*first.failed_events, *rest.failed_events]
    assert [one.message_id for one in listed] == ["c", "b", "a"]
    assert {(one.reason, one.properties["tool"]) for one in listed} == {
        ("UNKNOWN_EVENT", "text-to-image")
    }
    assert not rest.next_page_token
    other = replace(USER, organization_id=UUID(int=7))
    async with mesh.as_user(EventsServiceStub, other) as stranger:
        seen = await stranger.ListFailedEvents(pb.ListFailedEventsRequest())
    assert not seen.failed_events


async def test_an_event_that_was_put_right_is_taken(user) -> None:
    await user.CollectEvents(request(event("a", properties={})))
    assert (await user.CollectEvents(request(event("a")))).accepted == 1


async def test_bad_batches_are_refused_whole(user, mesh) -> None:
    empty = await refusal_of(user.CollectEvents(request()))
    assert empty.code is grpc.StatusCode.INVALID_ARGUMENT
    many = await refusal_of(user.CollectEvents(request(*numbered(101))))
    assert many.reason == "INVALID_REQUEST"
    endless = event(properties={"tool": float("inf")})
    assert (await refusal_of(user.CollectEvents(request(endless)))).reason == "INVALID_REQUEST"
    async with mesh.as_anyone(EventsServiceStub) as nobody:
        assert (await refusal_of(nobody.CollectEvents(request(event())))).reason == "TOKEN_MISSING"


async def test_everybody_may_read_the_schemas(mesh) -> None:
    async with mesh.as_anyone(EventsServiceStub) as nobody:
        reply = await nobody.ListEventSchemas(pb.ListEventSchemasRequest())
    schemas = {schema.name: schema for schema in reply.schemas}
    assert schemas["tool_opened"].version == 1
    assert schemas["tool_opened"].properties["required"] == ["tool"]


async def test_what_was_taken_reaches_the_bus(user, database, bus) -> None:
    heard: asyncio.Queue[events_pb.EventsCollected] = asyncio.Queue()

    async def hear(one) -> None:
        heard.put_nowait(one.parse(events_pb.EventsCollected))

    async with Supervisor() as supervisor:
        supervisor.start("relay", OutboxRelay(database, bus).run)
        supervisor.start("consumer", EventConsumer(bus, EVENTS_COLLECTED, "t", hear).run)
        await user.CollectEvents(request(event("heard")))
        async with asyncio.timeout(30):
            batch = await heard.get()
    assert [one.name for one in batch.events] == ["tool_opened"]


async def test_what_is_kept_is_bounded_and_what_is_overdue_is_shown(user, database, clock) -> None:
    await user.CollectEvents(request(event("a"), event("b", name="no such")))
    clock.advance(seconds=timedelta(days=32).total_seconds())
    async with database.sessions() as session:
        found = await offenders(session, now=clock.now())
    assert {name: len(ids) for name, ids in found.items()} == {
        "what was taken is published within ten minutes": 1,
        "message ids are forgotten after two weeks": 1,
        "failed events are deleted after a month": 1,
    }
    assert await Sweeper(database.sessions, clock.ambient).sweep() == 2
    async with database.sessions() as session:
        found = await offenders(session, now=clock.now())
    assert list(found) == ["what was taken is published within ten minutes"]
