"""Consumes events at least once and remembers which were handled, so that none counts twice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

import nats.errors
import sqlalchemy as sa
from google.protobuf.message import Message
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from prometheus_client import Counter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from meshkit.bus import EVENT_ID_HEADER, STREAM, TRACE_HEADER, EventBus
from meshkit.context import CallContext, enter
from meshkit.postgres import schema_of
from meshkit.tasks import attempt

M = TypeVar("M", bound=Message)

FETCH_SECONDS: Final = 5.0
ACK_SECONDS: Final = 30.0
# Redelivery of an event whose handler fails: 1 s, 2 s, 4 s, ... and then once a minute.
PAUSE_SECONDS_MAX: Final = 60.0
# Longer than the stream keeps events, so that no redelivery comes after its row is gone.
KEPT_FOR: Final = timedelta(days=14)


FAILED: Final = Counter(
    "reelmesh_event_failures", "Deliveries whose handler failed, by consumer", ["consumer"]
)
HANDLED: Final = Counter("reelmesh_events_handled", "Events handled, by consumer", ["consumer"])

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery of an event; `delivery` counts from 1."""

    id: uuid.UUID
    subject: str
    data: bytes
    delivery: int
    traceparent: str | None = None

    def parse(self, kind: type[M]) -> M:
        """Read the event's contents as a message of the kind."""
        return kind.FromString(self.data)


class InboxMixin:
    """Columns of a service's table of handled events."""

    __tablename__ = "inbox"

    consumer: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(server_default=sa.func.now(), index=True)


async def already_seen(session: AsyncSession, consumer: str, event_id: uuid.UUID) -> bool:
    """Record the event in the caller's transaction; say whether it was recorded before.

    A concurrent delivery of the same event waits here until the first has committed or rolled
    back, so exactly one of them is told False for good.
    """
    table = _table(schema_of(session))
    recorded = await session.execute(
        insert(table)
        .values(consumer=consumer, event_id=event_id)
        .on_conflict_do_nothing()
        .returning(table.c.event_id)
    )
    return recorded.first() is None


async def sweep(session: AsyncSession) -> int:
    """Delete the rows that are older than 14 days and say how many there were."""
    table = _table(schema_of(session))
    over = table.c.seen_at < sa.func.now() - KEPT_FOR
    deleted = await session.execute(sa.delete(table).where(over).returning(table.c.event_id))
    return len(deleted.all())


class EventConsumer:
    """Hands each event of a subject to a handler until the handler succeeds.

    The consumer is durable: it has a place in the stream under its name, from the oldest event
    that is kept, and processes with the same name share the work. A handler that fails gets the
    event again after a growing pause, for ever; other events pass it meanwhile.
    """

    def __init__(
        self,
        bus: EventBus,
        subject: str,
        name: str,
        handler: Callable[[Event], Awaitable[None]],
        *,
        concurrency: int = 4,
        pause_seconds_min: float = 1.0,
    ) -> None:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", name), "NATS forbids dots in consumer names"
        self._bus = bus
        self._subject = subject
        self._name = name
        self._handler = handler
        self._concurrency = concurrency
        self._pause_seconds_min = pause_seconds_min

    async def run(self) -> None:
        """Consume for ever; to be run by a Supervisor, which restarts it when NATS misbehaves."""
        await self._bus.connected()
        await self._bus.ensure_stream()
        subscription = await self._bus.jetstream.pull_subscribe(
            self._subject,
            durable=self._name,
            stream=STREAM,
            config=ConsumerConfig(
                ack_policy=AckPolicy.EXPLICIT,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_SECONDS,
                max_deliver=-1,
                max_ack_pending=1000,
            ),
        )
        slots = asyncio.Semaphore(self._concurrency)
        try:
            async with asyncio.TaskGroup() as handlers:
                while True:
                    await slots.acquire()
                    message = await self._next(subscription)
                    if message is None:
                        slots.release()
                        continue
                    task = handlers.create_task(self._deliver(message))
                    task.add_done_callback(lambda _: slots.release())
        finally:
            with contextlib.suppress(nats.errors.Error):  # The connection may be gone.
                await subscription.unsubscribe()

    async def _next(self, subscription: JetStreamContext.PullSubscription) -> Msg | None:
        try:
            return (await subscription.fetch(1, timeout=FETCH_SECONDS))[0]
        except nats.errors.TimeoutError:
            # A quiet stream and a consumer that is gone look the same from here.
            await self._bus.connected()
            await subscription.consumer_info()
            return None

    async def _deliver(self, message: Msg) -> None:
        event = _event(message)
        enter(
            CallContext(
                method=f"event:{event.subject}",
                request_id=str(event.id),
                traceparent=event.traceparent,
            )
        )
        keep_alive = asyncio.create_task(_keep_alive(message))
        try:
            done = await attempt(self._name, self._handler(event))
        finally:
            keep_alive.cancel()
        if done:
            HANDLED.labels(consumer=self._name).inc()
            await message.ack()
            return
        pause = min(self._pause_seconds_min * 2 ** min(event.delivery - 1, 16), PAUSE_SECONDS_MAX)
        FAILED.labels(consumer=self._name).inc()
        _log.error(
            "an event will be delivered again",
            extra={
                "consumer": self._name,
                "event_id": str(event.id),
                "subject": event.subject,
                "delivery": event.delivery,
                "again_in_seconds": pause,
            },
        )
        await message.nak(delay=pause)


def _table(schema: str) -> sa.TableClause:
    return sa.table(
        "inbox",
        sa.column("consumer", sa.Text),
        sa.column("event_id", sa.Uuid),
        sa.column("seen_at", sa.DateTime(timezone=True)),
        schema=schema,
    )


def _event(message: Msg) -> Event:
    headers = message.headers or {}
    try:
        event_id = uuid.UUID(headers.get(EVENT_ID_HEADER, ""))
    except ValueError:  # Not published by a relay; its place in the stream names it as well.
        place = f"{message.metadata.stream}:{message.metadata.sequence.stream}"
        event_id = uuid.uuid5(uuid.NAMESPACE_OID, place)
    return Event(
        id=event_id,
        subject=message.subject,
        data=message.data,
        delivery=message.metadata.num_delivered,
        traceparent=headers.get(TRACE_HEADER),
    )


async def _keep_alive(message: Msg) -> None:
    """Tell the server that the handler is at work, so that nobody else gets the event."""
    while True:
        await asyncio.sleep(ACK_SECONDS / 3)  # The server wants a sign of life at intervals.
        await message.in_progress()
