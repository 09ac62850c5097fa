"""How workers take rows that are due: each by one of them, and again later if it died."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.billing.tables import CreditOrderRow, ProviderEventRow

PAUSE_SECONDS_MAX: Final = 3600

DueRow = TypeVar("DueRow", CreditOrderRow, ProviderEventRow)


async def claim_due(
    session: AsyncSession, table: type[DueRow], *, now: datetime, lease: timedelta, count: int
) -> Sequence[DueRow]:
    """Take rows that are due, putting each off so that nobody else takes it meanwhile."""
    query = (
        select(table)
        .where(table.state == "due", table.due_at <= now)
        .order_by(table.due_at)
        .limit(count)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.scalars(query)).all()
    for row in rows:
        row.attempts += 1
        row.due_at = now + lease
    return rows


def due_again(now: datetime, attempts: int) -> datetime:
    """Give when to try again: after a pause that doubles up to an hour."""
    return now + timedelta(seconds=min(2**attempts, PAUSE_SECONDS_MAX))
