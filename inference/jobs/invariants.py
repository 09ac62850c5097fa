"""Facts that must always hold, each as a query that gives the offenders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from inference.jobs.metrics import OFFENDERS
from meshkit.invariants import InvariantCheck

OFFENDERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Invariant:
    """A fact, and the query whose rows break it."""

    name: str
    query: str


INVARIANTS: Final = (
    Invariant(
        "every job is in exactly one place: waiting, pausing, leased or ended",
        """
        SELECT j.id FROM jobs.job j
        LEFT JOIN jobs.ready r ON r.job_id = j.id
        LEFT JOIN jobs.scheduled s ON s.job_id = j.id
        LEFT JOIN jobs.lease l ON l.job_id = j.id
        LEFT JOIN jobs.outcome o ON o.job_id = j.id
        WHERE num_nonnulls(r.job_id, s.job_id, l.job_id, o.job_id) <> 1
        """,
    ),
    Invariant(
        "every place belongs to a job",
        """
        SELECT job_id FROM (
            SELECT job_id FROM jobs.ready UNION ALL SELECT job_id FROM jobs.scheduled
            UNION ALL SELECT job_id FROM jobs.lease) AS placed
        WHERE NOT EXISTS (SELECT 1 FROM jobs.job j WHERE j.id = placed.job_id)
        """,
    ),
    Invariant(
        "each grant of a job raises its fence by one",
        """
        SELECT job_id, fence FROM (
            SELECT job_id, fence, row_number() OVER (PARTITION BY job_id ORDER BY id) AS n
            FROM jobs.job_event WHERE event = 'grant') AS grants
        WHERE fence <> n
        """,
    ),
    Invariant(
        "a job is granted again only after its earlier lease was given up",
        """
        SELECT g.job_id, g.fence FROM jobs.job_event g
        WHERE g.event = 'grant' AND g.fence > 1 AND NOT EXISTS (
            SELECT 1 FROM jobs.job_event e
            WHERE e.job_id = g.job_id AND e.fence = g.fence - 1 AND e.id < g.id
            AND e.event IN ('retry', 'hand_back'))
        """,
    ),
    Invariant(
        "a job ends under its newest fence",
        """
        SELECT o.job_id, o.fence FROM jobs.outcome o
        WHERE o.fence <> (
            SELECT coalesce(max(e.fence), 0) FROM jobs.job_event e
            WHERE e.job_id = o.job_id AND e.event = 'grant')
        """,
    ),
    Invariant(
        "nothing happens to a job after its end",
        """
        SELECT job_id FROM (
            SELECT job_id, bool_or(ends) OVER earlier AS was_over FROM (
                SELECT id, job_id, detail IN ('succeeded', 'failed', 'canceled', 'expired')
                    AND event NOT IN ('submit', 'grant') AS ends
                FROM jobs.job_event) AS events
            WINDOW earlier AS (PARTITION BY job_id ORDER BY id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS history
        WHERE was_over
        """,
    ),
    Invariant(
        "no lease is long past its time",
        """
        SELECT job_id FROM jobs.lease WHERE lease_until < clock_timestamp() - interval '30 s'
        """,
    ),
)


async def offenders(session: AsyncSession) -> dict[str, list[tuple[Any, ...]]]:
    """Give up to 100 rows that break each invariant; empty when all hold."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for invariant in INVARIANTS:
        query = f"SELECT * FROM ({invariant.query}) AS broken LIMIT {OFFENDERS_MAX}"  # noqa: S608 - made of constants alone.
        rows = (await session.execute(text(query))).all()
        if rows:
            found[invariant.name] = [tuple(row) for row in rows]
    return found


def invariant_check(
    sessions: async_sessionmaker[AsyncSession], interval: timedelta
) -> InvariantCheck:
    """Give what looks for offenders at each interval."""

    async def look() -> Mapping[str, Sequence[str]]:
        async with sessions() as session:
            found = await offenders(session)
        return {name: [str(row[0]) for row in rows] for name, rows in found.items()}

    names = [invariant.name for invariant in INVARIANTS]
    return InvariantCheck("jobs-invariants", OFFENDERS, names, look, interval)
