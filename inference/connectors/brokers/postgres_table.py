"""A broker that is two tables in a schema of their own in any Postgres.

The schema `reelmesh_queue` belongs to no service: regions and foreign senders that may use it see
nothing of the scheduler's tables. Senders may insert rows by plain SQL.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import asyncpg

from inference.connectors.brokers.protocol import (
    REDELIVERY_SECONDS,
    REPLY_SECONDS_KEPT,
    BrokerAway,
    Delivery,
)
from meshkit.postgres import driver_url
from meshkit.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHANNEL: Final = "reelmesh_queue"
POOL_SIZE: Final = 8
CALL_SECONDS_MAX: Final = 10.0
# A delivery that nobody acknowledged shows by looking, since no signal tells of it.
LOOK_SECONDS: Final = 1.0
# Any number, the same everywhere: two processes must not make the schema at once.
SCHEMA_LOCK: Final = 4_711_203_115

IS_THERE: Final = "SELECT to_regclass('reelmesh_queue.reply') IS NOT NULL"
SCHEMA: Final = """
CREATE SCHEMA IF NOT EXISTS reelmesh_queue;
CREATE TABLE IF NOT EXISTS reelmesh_queue.message (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,
    message_id text NOT NULL DEFAULT gen_random_uuid()::text,
    body bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    visible_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (queue, message_id));
CREATE INDEX IF NOT EXISTS ix_message_queue_id ON reelmesh_queue.message (queue, id);
CREATE TABLE IF NOT EXISTS reelmesh_queue.reply (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mailbox text NOT NULL,
    body bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX IF NOT EXISTS ix_reply_mailbox ON reelmesh_queue.reply (mailbox);
CREATE INDEX IF NOT EXISTS ix_reply_at ON reelmesh_queue.reply (at);
"""
PUT: Final = """
INSERT INTO reelmesh_queue.message (queue, message_id, body) VALUES ($1, $2, $3)
ON CONFLICT (queue, message_id) DO NOTHING
"""
TAKE: Final = """
WITH taken AS (
    UPDATE reelmesh_queue.message SET visible_at = clock_timestamp() + $3::interval
    WHERE id = ANY(ARRAY(
        SELECT id FROM reelmesh_queue.message WHERE queue = $1 AND visible_at <= clock_timestamp()
        ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING id, message_id, body)
SELECT * FROM taken ORDER BY id
"""
ACK: Final = "DELETE FROM reelmesh_queue.message WHERE id = $1"
RELEASE: Final = """
UPDATE reelmesh_queue.message SET visible_at = clock_timestamp() + $2::interval WHERE id = $1
"""
POST: Final = """
WITH over AS (DELETE FROM reelmesh_queue.reply WHERE at < clock_timestamp() - $3::interval)
INSERT INTO reelmesh_queue.reply (mailbox, body) VALUES ($1, $2)
"""
RECEIVE: Final = """
WITH fetched AS (DELETE FROM reelmesh_queue.reply WHERE mailbox = $1 RETURNING id, body)
SELECT body FROM fetched ORDER BY id
"""


class PostgresBroker:
    """Queues and mailboxes as rows, with signals that save the waiting."""

    def __init__(self, url: str, *, redelivery_seconds: float = REDELIVERY_SECONDS) -> None:
        self._url = url
        self._redelivery = timedelta(seconds=redelivery_seconds)
        self._stack = AsyncExitStack()
        self._wakeup = Wakeup(url, CHANNEL)
        self._pool: asyncpg.Pool | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen; connections of the pool are made when they are needed."""
        await self._stack.enter_async_context(self._wakeup)
        self._pool = await self._stack.enter_async_context(
            asyncpg.create_pool(
                driver_url(self._url),
                min_size=0,
                max_size=POOL_SIZE,
                timeout=CALL_SECONDS_MAX,
                command_timeout=CALL_SECONDS_MAX,
            )
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self._stack.aclose()

    async def declare(self, queue: str) -> None:  # noqa: ARG002 - a queue is a value in a column.
        """Make the schema unless it is there; a role without rights to make it may still use it."""
        async with self._connection() as connection:
            if await connection.fetchval(IS_THERE):
                return
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", SCHEMA_LOCK)
                await connection.execute(SCHEMA)

    async def put(self, queue: str, body: bytes, *, message_id: str) -> None:
        """Insert a message."""
        await self._execute(PUT, queue, message_id, body)
        self._wakeup.notify()

    async def take(self, queue: str, *, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Lock messages for the redelivery time."""
        rows = await self._wait(wait_seconds, TAKE, queue, limit, self._redelivery)
        return [Delivery(row["message_id"], row["body"], row["id"]) for row in rows]

    async def ack(self, queue: str, delivery: Delivery) -> None:  # noqa: ARG002 - ids are unique.
        """Delete a message."""
        await self._execute(ACK, delivery.receipt)

    async def release(
        self,
        queue: str,  # noqa: ARG002 - ids are unique.
        delivery: Delivery,
        *,
        pause_seconds: float,
    ) -> None:
        """Let a message be taken again after the pause."""
        await self._execute(RELEASE, delivery.receipt, timedelta(seconds=pause_seconds))

    async def listen(self, mailbox: str) -> None:
        """Make sure that there is a table to look into."""
        await self.declare(mailbox)

    async def receive(self, mailbox: str, *, wait_seconds: float) -> Sequence[bytes]:
        """Fetch and delete what was posted."""
        return [row["body"] for row in await self._wait(wait_seconds, RECEIVE, mailbox)]

    async def close(self, mailbox: str) -> None:
        """Delete what nobody fetched."""
        await self._execute(RECEIVE, mailbox)

    async def post(self, mailbox: str, body: bytes) -> None:
        """Post, and sweep what nobody fetched in time."""
        await self._execute(POST, mailbox, body, timedelta(seconds=REPLY_SECONDS_KEPT))
        self._wakeup.notify()

    async def _wait(self, wait_seconds: float, statement: str, *values: Any) -> Sequence[Any]:
        deadline = time.monotonic() + wait_seconds
        while True:
            known = self._wakeup.generation
            async with self._connection() as connection:
                rows: Sequence[Any] = await connection.fetch(statement, *values)
            left = deadline - time.monotonic()
            if rows or left <= 0:
                return rows
            await self._wakeup.wait(min(left, LOOK_SECONDS), since=known)

    async def _execute(self, statement: str, *values: Any) -> None:
        async with self._connection() as connection:
            await connection.execute(statement, *values)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        assert self._pool is not None, "enter the broker first"
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
            raise BrokerAway(repr(error)) from error
