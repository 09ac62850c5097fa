"""Writes events in the transaction that causes them and publishes them after its commit."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import nats.errors
import sqlalchemy as sa
from google.protobuf.message import Message
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from meshkit.bus import EventBus
from meshkit.context import find_current
from meshkit.postgres import Database, after_commit, schema_of

POLL_SECONDS: Final = 1.0
BATCH_MAX: Final = 100
# How long a relay may take over the rows it claimed before another one publishes them too; the
# bus gives up on a publication in half of it.
CLAIM: Final = timedelta(seconds=10)
PAUSE_SECONDS_MAX: Final = 60

PENDING: Final = Gauge("reelmesh_outbox_pending", "Events not yet published", ["schema"])
PUBLISHED: Final = Counter("reelmesh_outbox_published", "Events published", ["schema"])
FAILED: Final = Counter("reelmesh_outbox_failures", "Publications that failed", ["schema"])

_log = logging.getLogger(__name__)


class OutboxMixin:
    """Columns of a service's table of events that the bus has not acknowledged."""

    __tablename__ = "outbox"

    position: Mapped[int] = mapped_column(sa.Identity(always=True), primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    subject: Mapped[str]
    payload: Mapped[bytes]
    traceparent: Mapped[str | None]
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(sa.Integer(), server_default="0")
    available_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


async def add_event(
    session: AsyncSession,
    subject: str,
    message: Message,
    *,
    event_id: uuid.UUID,
    now: datetime,
) -> None:
    """Write an event in the caller's transaction; the relay publishes it after the commit.

    `event_id` is what consumers dedupe by, so an event that a repeat may write again takes an id
    that the repeat finds again.
    """
    call = find_current()
    await session.execute(
        sa.insert(outbox_table(schema_of(session))).values(
            event_id=event_id,
            subject=subject,
            payload=message.SerializeToString(),
            traceparent=call.traceparent if call else None,
            created_at=now,
        )
    )
    after_commit(session, session.info["outbox_written"].set)


class OutboxRelay:
    """Publishes a schema's events at least once, oldest first.

    Rows are claimed in a short transaction, published outside of it and deleted after the
    server's acknowledgement, so a relay that dies leaves rows that the next one publishes again
    under the same event id. Any number of relays may run; order across them is not promised.
    """

    def __init__(self, database: Database, bus: EventBus) -> None:
        self._database = database
        self._bus = bus
        self._table = outbox_table(database.schema)

    async def run(self) -> None:
        """Publish for ever: at once after commits of this process, else every second."""
        while True:
            await self._bus.connected()
            self._database.outbox_written.clear()
            while await self.publish_batch() == BATCH_MAX:
                pass
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._database.outbox_written.wait()
            except TimeoutError:
                await self._measure()

    async def publish_batch(self) -> int:
        """Publish up to 100 events that are due and say how many were claimed."""
        rows = await self._claim()
        outcomes = await asyncio.gather(*(self._publish(row) for row in rows))
        sent = [row.position for row, good in zip(rows, outcomes, strict=True) if good]
        failed = [row for row, good in zip(rows, outcomes, strict=True) if not good]
        if sent:
            PUBLISHED.labels(schema=self._database.schema).inc(len(sent))
            async with self._database.sessions.begin() as session:
                await session.execute(
                    sa.delete(self._table).where(self._table.c.position.in_(sent))
                )
        if failed:
            await self._postpone(failed)
        return len(rows)

    async def _claim(self) -> Sequence[sa.Row[Any]]:
        table = self._table
        due = (
            sa.select(table.c.position)
            .where(table.c.available_at <= sa.func.now())
            .order_by(table.c.position)
            .limit(BATCH_MAX)
            .with_for_update(skip_locked=True)
        )
        claim = (
            sa.update(table)
            .where(table.c.position.in_(due.scalar_subquery()))
            .values(attempts=table.c.attempts + 1, available_at=sa.func.now() + CLAIM)
            .returning(table)
        )
        async with self._database.sessions.begin() as session:
            rows = (await session.execute(claim)).all()
        return sorted(rows, key=lambda row: int(row.position))

    async def _publish(self, row: sa.Row[Any]) -> bool:
        try:
            await self._bus.publish(
                row.subject, row.payload, event_id=row.event_id, traceparent=row.traceparent
            )
        except nats.errors.Error as error:
            FAILED.labels(schema=self._database.schema).inc()
            _log.warning(
                "an event could not be published",
                extra={
                    "event_id": str(row.event_id),
                    "subject": row.subject,
                    "attempts": row.attempts,
                    "error": repr(error),
                },
            )
            return False
        return True

    async def _postpone(self, rows: Sequence[sa.Row[Any]]) -> None:
        async with self._database.sessions.begin() as session:
            for row in rows:
                pause = timedelta(seconds=min(2 ** (row.attempts - 1), PAUSE_SECONDS_MAX))
                await session.execute(
                    sa.update(self._table)
                    .where(self._table.c.position == row.position)
                    .values(available_at=sa.func.now() + pause)
                )

    async def _measure(self) -> None:
        async with self._database.sessions() as session:
            count = await session.scalar(sa.select(sa.func.count()).select_from(self._table))
        PENDING.labels(schema=self._database.schema).set(count or 0)


def outbox_table(schema: str) -> sa.TableClause:
    """Give the outbox of a schema for statements."""
    return sa.table(
        "outbox",
        sa.column("position", sa.BigInteger),
        sa.column("event_id", sa.Uuid),
        sa.column("subject", sa.Text),
        sa.column("payload", sa.LargeBinary),
        sa.column("traceparent", sa.Text),
        sa.column("created_at", sa.DateTime(timezone=True)),
        sa.column("attempts", sa.Integer),
        sa.column("available_at", sa.DateTime(timezone=True)),
        schema=schema,
    )
