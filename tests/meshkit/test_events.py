from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue

from meshkit.bus import EventBus
from meshkit.clock import Ambient
from meshkit.inbox import FAILED, Event, EventConsumer, already_seen
from meshkit.outbox import PUBLISHED, OutboxRelay, add_event, outbox_table
from meshkit.postgres import Database
from meshkit.tasks import Supervisor
from meshkit.testing.nats import NatsServer
from meshkit.testing.signals import Signal, eventually

AMBIENT = Ambient()
OUTBOX = outbox_table("sample")


@pytest.fixture
def subject() -> str:
    """A subject that no other test uses."""
    return f"reelmesh.test.{AMBIENT.new_id().hex}"


async def write(database: Database, subject: str, *texts: str) -> list[uuid.UUID]:
    ids = [AMBIENT.new_id() for _ in texts]
    async with database.sessions.begin() as session:
        for event_id, text in zip(ids, texts, strict=True):
            await add_event(
                session, subject, StringValue(value=text), event_id=event_id, now=AMBIENT.now()
            )
    return ids


async def pending(database: Database) -> int:
    async with database.sessions() as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(OUTBOX)) or 0


async def nothing_pending(database: Database) -> bool:
    return await pending(database) == 0


@asynccontextmanager
async def consuming(bus: EventBus, subject: str, handler, **options) -> AsyncIterator[None]:
    consumer = EventConsumer(bus, subject, subject.rsplit(".", 1)[1], handler, **options)
    async with Supervisor() as supervisor:
        supervisor.start("consumer", consumer.run)
        yield


@asynccontextmanager
async def relaying(database: Database, bus: EventBus, count: int = 1) -> AsyncIterator[None]:
    async with Supervisor() as supervisor:
        for number in range(count):
            supervisor.start(f"relay-{number}", OutboxRelay(database, bus).run)
        yield


async def test_a_committed_event_arrives_and_leaves_the_outbox(
    database: Database, bus: EventBus, subject: str
) -> None:
    arrived = Signal[Event]()

    async def handle(event: Event) -> None:
        arrived.emit(event)

    async with consuming(bus, subject, handle), relaying(database, bus):
        ids = await write(database, subject, "hello")
        event = await arrived.wait()
        assert (event.id, event.parse(StringValue).value, event.delivery) == (ids[0], "hello", 1)
        await eventually(lambda: nothing_pending(database))


async def test_the_relay_wakes_at_once_after_a_commit(
    database: Database, bus: EventBus, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshkit.outbox.POLL_SECONDS", 60.0)  # The poll must not be what helps.
    arrived = Signal[Event]()

    async def handle(event: Event) -> None:
        arrived.emit(event)

    async with consuming(bus, subject, handle), relaying(database, bus):
        for text in ("first", "second"):
            await write(database, subject, text)
            assert (await arrived.wait()).parse(StringValue).value == text


async def test_a_rolled_back_event_never_leaves(
    database: Database, bus: EventBus, subject: str
) -> None:
    session = database.sessions()
    await add_event(
        session, subject, StringValue(value="x"), event_id=AMBIENT.new_id(), now=AMBIENT.now()
    )
    await session.rollback()
    await session.close()
    assert await pending(database) == 0
    assert await OutboxRelay(database, bus).publish_batch() == 0
    assert not database.outbox_written.is_set()


async def test_several_relays_publish_each_event_once(
    database: Database, bus: EventBus, subject: str
) -> None:
    arrived = Signal[Event]()

    async def handle(event: Event) -> None:
        arrived.emit(event)

    before = PUBLISHED.labels(schema="sample")._value.get()
    ids = await write(database, subject, *(str(number) for number in range(250)))
    async with consuming(bus, subject, handle, concurrency=16), relaying(database, bus, count=4):
        seen = [(await arrived.wait()).id for _ in ids]
        await eventually(lambda: nothing_pending(database))
    assert sorted(seen) == sorted(ids)
    assert arrived.drain() == []
    # The server would have hidden a second publication under the same id.
    assert PUBLISHED.labels(schema="sample")._value.get() - before == 250


async def test_a_row_published_twice_is_stored_once(
    database: Database, bus: EventBus, subject: str
) -> None:
    (event_id,) = await write(database, subject, "x")
    await bus.publish(subject, b"x", event_id=event_id)  # A relay that died before deleting.
    await OutboxRelay(database, bus).publish_batch()
    arrived = Signal[Event]()

    async def handle(event: Event) -> None:
        arrived.emit(event)

    async with consuming(bus, subject, handle):
        await arrived.wait()
        await bus.publish(subject, b"last", event_id=AMBIENT.new_id())
        assert (await arrived.wait()).data == b"last"


async def test_a_claimed_row_is_left_alone_and_taken_over_later(
    database: Database, bus: EventBus, subject: str
) -> None:
    await write(database, subject, "x")
    relay = OutboxRelay(database, bus)
    async with database.sessions.begin() as session:  # A relay that claimed and died.
        await session.execute(
            sa.update(OUTBOX).values(available_at=sa.func.now() + sa.text("interval '10 s'"))
        )
    assert await relay.publish_batch() == 0
    async with database.sessions.begin() as session:
        await session.execute(sa.update(OUTBOX).values(available_at=sa.func.now()))
    assert await relay.publish_batch() == 1
    assert await pending(database) == 0


async def test_a_poisoned_event_is_retried_and_counted_while_others_pass(
    database: Database, bus: EventBus, subject: str
) -> None:
    delivered = Signal[tuple[str, int]]()

    async def handle(event: Event) -> None:
        text = event.parse(StringValue).value
        delivered.emit((text, event.delivery))
        if text == "poison" and event.delivery < 4:
            raise RuntimeError(text)

    async with consuming(bus, subject, handle, pause_seconds_min=0.2), relaying(database, bus):
        await write(database, subject, "poison")
        assert await delivered.wait() == ("poison", 1)
        await write(database, subject, "fine")
        assert await delivered.wait() == ("fine", 1)
        later = [await delivered.wait() for _ in range(3)]
    assert later == [("poison", 2), ("poison", 3), ("poison", 4)]
    name = subject.rsplit(".", 1)[1]
    assert FAILED.labels(consumer=name)._value.get() == 3


async def test_the_inbox_counts_an_event_once(database: Database) -> None:
    event_id = AMBIENT.new_id()
    together = asyncio.Barrier(5)

    async def handle() -> bool:
        async with database.sessions.begin() as session:
            await together.wait()
            return await already_seen(session, "consumer", event_id)

    answers = await asyncio.gather(*(handle() for _ in range(5)))
    assert sorted(answers) == [False, True, True, True, True]


async def test_a_failed_handler_leaves_no_mark_in_the_inbox(database: Database) -> None:
    event_id = AMBIENT.new_id()
    session = database.sessions()
    assert not await already_seen(session, "consumer", event_id)
    await session.rollback()
    assert not await already_seen(session, "consumer", event_id)
    assert not await already_seen(session, "another", event_id)
    await session.close()


async def test_events_survive_a_restart_of_nats(database: Database, subject: str) -> None:
    server = NatsServer()
    arrived = Signal[str]()

    async def handle(event: Event) -> None:
        arrived.emit(event.parse(StringValue).value)

    try:
        # The bus opens although the server is away.
        async with (
            EventBus(server.url) as bus,
            consuming(bus, subject, handle),
            relaying(database, bus),
        ):
            await write(database, subject, "before the first start")
            await server.start()
            assert await arrived.wait(20) == "before the first start"
            server.stop()
            await write(database, subject, "while away")
            await server.start()
            assert await arrived.wait(20) == "while away"
            await eventually(lambda: nothing_pending(database), timeout=20)
    finally:
        server.remove()
