"""What every message broker must do, each on its real server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from inference.connectors.brokers.opening import UnusableBroker, check_broker_url, open_broker
from inference.connectors.brokers.protocol import (
    Broker,
    BrokerAway,
    Delivery,
    MessageTooLarge,
)
from meshkit.clock import uuid7
from meshkit.testing.brokers import BROKERS, BrokerServer, broker_server

REDELIVERY_SECONDS = 1.0
WAIT_SECONDS = 120.0


@pytest.fixture(scope="module", params=BROKERS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[BrokerServer]:
    async with broker_server(request.param) as running:
        yield running


@pytest.fixture
def connect(server: BrokerServer) -> Callable[[], Broker]:
    return lambda: open_broker(server.url, redelivery_seconds=REDELIVERY_SECONDS)


@pytest.fixture
async def broker(connect: Callable[[], Broker]) -> AsyncIterator[Broker]:
    async with connect() as broker:
        await declared(broker, "warm-up")
        yield broker


@pytest.fixture
async def queue(broker: Broker) -> str:
    name = f"q-{uuid7()}"
    await broker.declare(name)
    return name


async def declared(broker: Broker, queue: str) -> None:
    """Declare a queue as soon as the broker answers."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                await broker.declare(queue)
            except BrokerAway:
                await asyncio.sleep(0.05)
            else:
                return


async def take(broker: Broker, queue: str) -> Delivery:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            deliveries = await broker.take(queue, limit=1, wait_seconds=2)
            if deliveries:
                assert len(deliveries) == 1
                return deliveries[0]


async def test_a_message_arrives_as_it_was_put(broker: Broker, queue: str) -> None:
    body = bytes(range(256))
    await broker.put(queue, body, message_id="one")
    delivery = await take(broker, queue)
    assert (delivery.message_id, delivery.body) == ("one", body)


async def test_messages_arrive_in_order(broker: Broker, queue: str) -> None:
    for number in range(5):
        await broker.put(queue, b"%d" % number, message_id=str(number))
    assert [(await take(broker, queue)).body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_taker_that_waits_gets_what_comes(broker: Broker, queue: str) -> None:
    waiting = asyncio.create_task(take(broker, queue))
    await broker.put(queue, b"late", message_id="late")
    assert (await waiting).body == b"late"


async def test_an_empty_queue_gives_nothing(broker: Broker, queue: str) -> None:
    assert list(await broker.take(queue, limit=5, wait_seconds=0)) == []


async def test_an_acknowledged_message_never_comes_again(broker: Broker, queue: str) -> None:
    await broker.put(queue, b"done", message_id="done")
    await broker.put(queue, b"left", message_id="left")
    delivery = await take(broker, queue)
    await broker.ack(queue, delivery)
    await broker.ack(queue, delivery)
    again = [await take(broker, queue) for _ in range(2)]  # The second after the redelivery time.
    assert [delivery.body for delivery in again] == [b"left", b"left"]


async def test_a_message_that_nobody_acknowledged_comes_again(
    broker: Broker, connect: Callable[[], Broker], queue: str
) -> None:
    await broker.put(queue, b"again", message_id="again")
    first = await take(broker, queue)
    assert list(await broker.take(queue, limit=1, wait_seconds=0)) == []
    async with connect() as other:
        await declared(other, queue)
        second = await take(other, queue)
    assert (second.message_id, second.body) == (first.message_id, first.body)


async def test_a_released_message_comes_again(broker: Broker, queue: str) -> None:
    await broker.put(queue, b"x", message_id="x")
    await broker.release(queue, await take(broker, queue), pause_seconds=0)
    assert (await take(broker, queue)).message_id == "x"


async def test_takers_share_the_messages(
    broker: Broker, connect: Callable[[], Broker], queue: str
) -> None:
    count = 30
    taken: Counter[str] = Counter()

    async def work(taker: Broker) -> None:
        while taken.total() < count:
            for delivery in await taker.take(queue, limit=5, wait_seconds=0.3):
                taken[delivery.message_id] += 1
                await taker.ack(queue, delivery)

    async with connect() as second, connect() as third:
        for other in (second, third):
            await declared(other, queue)
        for number in range(count):
            await broker.put(queue, b"x", message_id=str(number))
        await asyncio.wait_for(asyncio.gather(*map(work, (broker, second, third))), WAIT_SECONDS)
    assert taken == {str(number): 1 for number in range(count)}


async def test_declaring_again_keeps_what_is_there(broker: Broker, queue: str) -> None:
    await broker.put(queue, b"kept", message_id="kept")
    await broker.declare(queue)
    assert (await take(broker, queue)).body == b"kept"


async def test_queues_are_apart(broker: Broker, queue: str) -> None:
    other = f"q-{uuid7()}"
    await broker.declare(other)
    await broker.put(other, b"other", message_id="same")
    await broker.put(queue, b"own", message_id="same")
    assert (await take(broker, queue)).body == b"own"


async def test_a_mailbox_gives_what_is_posted_to_it(
    broker: Broker, connect: Callable[[], Broker]
) -> None:
    mailbox, other = f"rm-replies-{uuid7()}", f"rm-replies-{uuid7()}"
    await broker.listen(mailbox)
    await broker.listen(other)
    async with connect() as sender:
        await declared(sender, "warm-up")
        await sender.post(mailbox, b"\x00first")
        await sender.post(mailbox, b"second")
        received: list[bytes] = []
        async with asyncio.timeout(WAIT_SECONDS):
            while len(received) < 2:
                received += await broker.receive(mailbox, wait_seconds=1)
    assert received == [b"\x00first", b"second"]
    assert list(await broker.receive(other, wait_seconds=0.1)) == []
    for one in (mailbox, other):
        await broker.close(one)


async def test_a_message_that_is_too_large_is_refused(broker: Broker, queue: str) -> None:
    huge = b"x" * 2_000_000
    try:
        await broker.put(queue, huge, message_id="huge")
    except MessageTooLarge:
        return
    assert (await take(broker, queue)).body == huge


async def test_it_works_again_after_the_broker_restarts(server: BrokerServer) -> None:
    queue = f"q-{uuid7()}"
    async with open_broker(server.url, redelivery_seconds=REDELIVERY_SECONDS) as broker:
        await declared(broker, queue)
        await broker.put(queue, b"before", message_id="before")
        assert (await take(broker, queue)).body == b"before"
        await asyncio.to_thread(server.stop)
        with pytest.raises(BrokerAway):
            await broker.put(queue, b"during", message_id="during")
        await server.start()
        await declared(broker, queue)
        await broker.put(queue, b"after", message_id="after")
        found: set[bytes] = set()
        while b"after" not in found:
            found.add((await take(broker, queue)).body)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("amqp://host", "amqp"),
        ("nats://", "names no host"),
        ("", "scheme"),
    ],
)
def test_a_url_without_a_broker_is_refused(url: str, problem: str) -> None:
    with pytest.raises(UnusableBroker, match=problem):
        check_broker_url(url)


def test_a_refusal_keeps_the_password_to_itself() -> None:
    with pytest.raises(UnusableBroker) as refusal:
        check_broker_url("amqp://user:pa55word@host")
    assert "pa55word" not in str(refusal.value)
