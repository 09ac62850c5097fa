"""A broker on NATS JetStream: a queue is a stream, a mailbox a plain subject."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig

from inference.connectors.brokers.protocol import (
    REDELIVERY_SECONDS,
    BrokerAway,
    Delivery,
    MessageTooLarge,
)
from meshkit.bus import EVENT_ID_HEADER
from meshkit.tasks import Supervisor

CONSUMER: Final = "reelmesh"
CALL_SECONDS_MAX: Final = 5
RECONNECT_SECONDS: Final = 1
# The server drops a repeated message id within this time; later ones are harmless too.
DUPLICATE_SECONDS: Final = 600
# Fetching nothing within less than this looks to the client as if the server were away.
FETCH_SECONDS_MIN: Final = 0.25

_log = logging.getLogger(__name__)


class JetStreamBroker:
    """Queues as work-queue streams under the queue's name, shared by one durable consumer.

    A stream of that name that is there already is used as it is, with whatever subjects it has.
    """

    def __init__(self, url: str, *, redelivery_seconds: float = REDELIVERY_SECONDS) -> None:
        self._url = url
        self._redelivery_seconds = redelivery_seconds
        self._client = Client()
        self._supervisor = Supervisor(pause_seconds_max=2.0)
        self._pulls: dict[str, JetStreamContext.PullSubscription] = {}
        self._mailboxes: dict[str, Subscription] = {}

    async def __aenter__(self) -> Self:
        """Begin to connect, and to come back whenever the connection is lost."""
        self._supervisor.start("broker-connection", self._connect)
        await self._supervisor.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        await self._supervisor.stop()
        await self._client.close()

    async def declare(self, queue: str) -> None:
        """Make the stream and its consumer unless they are there."""
        async with self._talking() as jetstream:
            try:
                await jetstream.stream_info(queue)
            except nats.js.errors.NotFoundError:
                await jetstream.add_stream(
                    StreamConfig(
                        name=queue,
                        subjects=[queue],
                        retention=RetentionPolicy.WORK_QUEUE,
                        storage=StorageType.FILE,
                        duplicate_window=DUPLICATE_SECONDS,
                    )
                )
            try:
                await jetstream.consumer_info(queue, CONSUMER)
            except nats.js.errors.NotFoundError:
                await jetstream.add_consumer(
                    queue,
                    ConsumerConfig(
                        durable_name=CONSUMER,
                        ack_policy=AckPolicy.EXPLICIT,
                        ack_wait=self._redelivery_seconds,
                        max_deliver=-1,
                    ),
                )

    async def put(self, queue: str, body: bytes, *, message_id: str) -> None:
        """Publish and wait until the server has stored it."""
        async with self._talking() as jetstream:
            headers = {EVENT_ID_HEADER: message_id}
            await jetstream.publish(queue, body, timeout=CALL_SECONDS_MAX, headers=headers)

    async def take(
        self,
        queue: str,
        *,
        limit: int,  # noqa: ARG002 - one is a fetch that returns as soon as it can.
        wait_seconds: float,
    ) -> Sequence[Delivery]:
        """Fetch one message."""
        async with self._talking() as jetstream:
            pull = self._pulls.get(queue)
            if pull is None:
                pull = await jetstream.pull_subscribe_bind(CONSUMER, queue)
                self._pulls[queue] = pull
            try:
                [message] = await pull.fetch(1, timeout=max(wait_seconds, FETCH_SECONDS_MIN))
            except nats.errors.TimeoutError:
                # A quiet stream and a consumer that is gone look the same from here.
                await self._demand_consumer(queue, pull)
                return []
            return [_delivery(message)]

    async def ack(self, queue: str, delivery: Delivery) -> None:  # noqa: ARG002 - it knows its stream.
        """Acknowledge a message."""
        with suppress(nats.errors.MsgAlreadyAckdError):
            async with self._talking():
                await delivery.receipt.ack()

    async def release(
        self,
        queue: str,  # noqa: ARG002 - the message knows its stream.
        delivery: Delivery,
        *,
        pause_seconds: float,
    ) -> None:
        """Ask for another delivery after the pause."""
        async with self._talking():
            await delivery.receipt.nak(delay=pause_seconds)

    async def listen(self, mailbox: str) -> None:
        """Subscribe to the mailbox's subject."""
        async with self._talking():
            if mailbox not in self._mailboxes:
                self._mailboxes[mailbox] = await self._client.subscribe(mailbox)
            await self._client.flush(timeout=CALL_SECONDS_MAX)

    async def receive(self, mailbox: str, *, wait_seconds: float) -> Sequence[bytes]:
        """Wait for one message."""
        try:
            message = await self._mailboxes[mailbox].next_msg(timeout=wait_seconds)
        except nats.errors.TimeoutError:
            return []
        except nats.errors.Error as error:
            raise BrokerAway(repr(error)) from error
        return [message.data]

    async def close(self, mailbox: str) -> None:
        """Unsubscribe."""
        async with self._talking():
            await self._mailboxes.pop(mailbox).unsubscribe()

    async def post(self, mailbox: str, body: bytes) -> None:
        """Publish without storing."""
        async with self._talking():
            await self._client.publish(mailbox, body)

    async def _demand_consumer(self, queue: str, pull: JetStreamContext.PullSubscription) -> None:
        try:
            await pull.consumer_info()
        except nats.js.errors.NotFoundError as error:
            self._pulls.pop(queue, None)
            raise BrokerAway(f"the stream {queue} is gone; declare it again") from error

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[JetStreamContext]:
        if not self._client.is_connected:
            raise BrokerAway("there is no connection to NATS")
        try:
            yield self._client.jetstream(timeout=CALL_SECONDS_MAX)
        except nats.errors.MaxPayloadError as error:
            raise MessageTooLarge(repr(error)) from error
        except nats.errors.MsgAlreadyAckdError:
            raise
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise BrokerAway(repr(error)) from error

    async def _connect(self) -> None:
        await self._client.close()  # What an attempt before this one may have left.
        self._client = Client()
        await self._client.connect(
            self._url,
            name="reelmesh-connector",
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_SECONDS,
            connect_timeout=2,
            ping_interval=10,
            # Silence is better than a message that leaves after its caller gave up.
            pending_size=-1,
            error_cb=_log_trouble,
        )


async def _log_trouble(error: Exception) -> None:
    _log.warning("trouble with NATS", extra={"error": repr(error)})


def _delivery(message: Msg) -> Delivery:
    headers: dict[str, Any] = message.headers or {}
    place = f"{message.metadata.stream}-{message.metadata.sequence.stream}"
    return Delivery(headers.get(EVENT_ID_HEADER) or place, message.data, message)
