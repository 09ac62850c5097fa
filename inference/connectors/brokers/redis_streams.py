"""A broker on Redis Streams: a queue is a stream with a consumer group, a mailbox is a list."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from inference.connectors.brokers.protocol import (
    REDELIVERY_SECONDS,
    REPLY_SECONDS_KEPT,
    BrokerAway,
    Delivery,
)

GROUP: Final = "reelmesh"
# One name for every process: a message is claimed by its idle time, whoever had it.
CONSUMER: Final = "reelmesh"
BODY: Final = b"body"
MESSAGE_ID: Final = b"message_id"
# How long one blocking command waits; the socket's own time-out must be longer.
BLOCK_SECONDS_MAX: Final = 2.0
SOCKET_SECONDS_MAX: Final = 6.0


class RedisBroker:
    """Queues and mailboxes in one Redis database.

    An entry has the fields `body` and, if the sender wishes, `message_id`. Acknowledged entries
    are deleted, so a stream must not be shared with another group.
    """

    def __init__(self, url: str, *, redelivery_seconds: float = REDELIVERY_SECONDS) -> None:
        self._redelivery_ms = round(redelivery_seconds * 1000)
        self._client: Redis = Redis.from_url(
            url, socket_timeout=SOCKET_SECONDS_MAX, socket_connect_timeout=SOCKET_SECONDS_MAX
        )

    async def __aenter__(self) -> Self:
        """Open nothing yet: connections are made when they are needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def declare(self, queue: str) -> None:
        """Make the stream and its group unless they are there."""
        async with self._talking():
            try:
                await self._client.xgroup_create(queue, GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    async def put(self, queue: str, body: bytes, *, message_id: str) -> None:
        """Append an entry."""
        async with self._talking():
            await self._client.xadd(queue, {MESSAGE_ID: message_id.encode(), BODY: body})

    async def take(self, queue: str, *, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Claim what others left unacknowledged, then read what is new."""
        deadline = time.monotonic() + wait_seconds
        async with self._talking():
            while True:
                found = await self._claim(queue, limit)
                left = deadline - time.monotonic()
                if not found:
                    found = await self._read(queue, limit, min(left, BLOCK_SECONDS_MAX))
                if found or left <= 0:
                    return [_delivery(*entry) for entry in found]

    async def ack(self, queue: str, delivery: Delivery) -> None:
        """Acknowledge and delete an entry."""
        async with self._talking(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.xack(queue, GROUP, delivery.receipt)
            pipeline.xdel(queue, delivery.receipt)
            await pipeline.execute()

    async def release(self, queue: str, delivery: Delivery, *, pause_seconds: float) -> None:
        """Leave the entry pending: Redis gives it again after the redelivery time."""

    async def listen(self, mailbox: str) -> None:
        """Do nothing: a list exists once something is in it."""

    async def receive(self, mailbox: str, *, wait_seconds: float) -> Sequence[bytes]:
        """Wait for one message."""
        async with self._talking():
            seconds = max(min(wait_seconds, BLOCK_SECONDS_MAX), 0.01)  # 0 would wait for ever.
            found: Any = await self._client.blpop([mailbox], timeout=seconds)
            return [found[1]] if found else []

    async def close(self, mailbox: str) -> None:
        """Delete what nobody fetched."""
        async with self._talking():
            await self._client.delete(mailbox)

    async def post(self, mailbox: str, body: bytes) -> None:
        """Append to the list, which goes away when nobody fetches it."""
        async with self._talking(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.rpush(mailbox, body)
            pipeline.expire(mailbox, REPLY_SECONDS_KEPT)
            await pipeline.execute()

    async def _claim(self, queue: str, limit: int) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
        answer: Any = await self._client.xautoclaim(
            queue, GROUP, CONSUMER, min_idle_time=self._redelivery_ms, count=limit
        )
        # Entries that were deleted while pending come without fields.
        return [(entry, fields) for entry, fields in answer[1] if fields]

    async def _read(
        self, queue: str, limit: int, seconds: float
    ) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
        block = round(seconds * 1000) or None
        answer: Any = await self._client.xreadgroup(
            GROUP, CONSUMER, {queue: ">"}, count=limit, block=block if seconds > 0 else None
        )
        if isinstance(answer, Mapping):
            return [
                entry for batches in answer.values() for entries in batches for entry in entries
            ]
        return [entry for _, entries in answer or () for entry in entries]

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[None]:
        try:
            yield
        except (RedisError, OSError, TimeoutError) as error:
            raise BrokerAway(repr(error)) from error


def _delivery(entry: bytes, fields: Mapping[bytes, bytes]) -> Delivery:
    given = fields.get(MESSAGE_ID, b"").decode(errors="replace")
    return Delivery(given or entry.decode(), fields.get(BODY, b""), entry)
