"""Remembers which events a consumer has handled, so that a redelivery changes nothing."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from meshkit.postgres import schema_of

# Longer than the stream keeps events, so that no redelivery comes after its row is gone.
KEPT_FOR: Final = timedelta(days=14)


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


def _table(schema: str) -> sa.TableClause:
    return sa.table(
        "inbox",
        sa.column("consumer", sa.Text),
        sa.column("event_id", sa.Uuid),
        sa.column("seen_at", sa.DateTime(timezone=True)),
        schema=schema,
    )
