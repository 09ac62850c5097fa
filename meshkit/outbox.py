"""Writes events in the transaction that causes them."""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from meshkit.context import find_current
from meshkit.postgres import after_commit, schema_of


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
