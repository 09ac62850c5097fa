"""Facts of the events schema that must hold at any moment, as queries that give the offenders."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

OFFENDERS_MAX: Final = 100
# The relay publishes within a second; the bus may be away for a while.
PUBLISHED_WITHIN: Final = timedelta(minutes=10)
# By when the sweeper has come by, also if it missed some rounds.
FORGOTTEN_AFTER: Final = timedelta(days=15)
DELETED_AFTER: Final = timedelta(days=31)

INVARIANTS: Final = {
    "what was taken is published within ten minutes": """
        SELECT event_id::text FROM events.outbox WHERE created_at < :overdue
    """,
    "message ids are forgotten after two weeks": """
        SELECT message_id FROM events.message WHERE seen_at < :forgotten
    """,
    "failed events are deleted after a month": """
        SELECT id::text FROM events.failed_event WHERE received_at < :deleted
    """,
}


async def offenders(session: AsyncSession, *, now: datetime) -> dict[str, list[str]]:
    """Give the invariants that do not hold, each with up to 100 ids that break it."""
    bounds = {
        "overdue": now - PUBLISHED_WITHIN,
        "forgotten": now - FORGOTTEN_AFTER,
        "deleted": now - DELETED_AFTER,
    }
    found = {}
    for name, query in INVARIANTS.items():
        bounded = f"SELECT * FROM ({query}) AS broken(id) LIMIT {OFFENDERS_MAX}"  # noqa: S608 - our own constants
        used = {key: bound for key, bound in bounds.items() if f":{key}" in query}
        ids = (await session.scalars(sql(bounded), used)).all()
        if ids:
            found[name] = list(ids)
    return found
