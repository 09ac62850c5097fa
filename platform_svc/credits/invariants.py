"""Facts that must hold at any moment, as queries that return the offenders.

The numbers are those of the ledger's description: I1 to I5 and I7 to I10. Each query reads one
snapshot, so it may run beside live traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

OFFENDERS_MAX = 100
# A hold or a grant may outlive its end by a few rounds of the sweeper.
HOLD_GRACE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Invariant:
    """One fact: `query` gives the text of an id for each row that breaks it."""

    name: str
    query: str


INVARIANTS = (
    Invariant(
        "I1 ledger transactions sum to zero",
        """
        SELECT t.id::text FROM credits.ledger_tx t
        LEFT JOIN credits.ledger_entry e ON e.tx_id = t.id
        GROUP BY t.id HAVING coalesce(sum(e.amount), 1) <> 0
        """,
    ),
    Invariant(
        "I2 an account's balance is the sum of its entries",
        """
        SELECT a.org_id::text FROM credits.account a
        LEFT JOIN credits.ledger_entry e
            ON e.account = format('org:%s:credits', a.org_id) AND e.unit = a.unit
        GROUP BY a.org_id, a.unit, a.posted HAVING a.posted <> coalesce(sum(e.amount), 0)
        """,
    ),
    Invariant(
        "I3 what is held is what the pending holds and the grants say",
        """
        SELECT a.org_id::text FROM credits.account a
        WHERE a.held <> (
            SELECT coalesce(sum(amount), 0) FROM credits.hold h
            WHERE h.org_id = a.org_id AND h.unit = a.unit AND h.state = 'pending')
        OR a.held <> (
            SELECT coalesce(sum(held), 0) FROM credits.credit_grant g
            WHERE g.org_id = a.org_id AND g.unit = a.unit)
        """,
    ),
    Invariant(
        "I4 an account's balance is what remains of its grants",
        """
        SELECT a.org_id::text FROM credits.account a
        WHERE a.posted <> (
            SELECT coalesce(sum(remaining), 0) FROM credits.credit_grant g
            WHERE g.org_id = a.org_id AND g.unit = a.unit)
        """,
    ),
    Invariant(
        "I5 a hold ends once, and its allocations and its charge agree",
        """
        SELECT h.id FROM credits.hold h
        LEFT JOIN (
            SELECT hold_id, sum(amount) AS amount, sum(captured) AS captured
            FROM credits.hold_allocation GROUP BY hold_id
        ) a ON a.hold_id = h.id
        LEFT JOIN (
            SELECT t.reference, count(*) AS charges, -sum(e.amount) AS charged
            FROM credits.ledger_tx t JOIN credits.ledger_entry e ON e.tx_id = t.id AND e.n = 1
            WHERE t.kind = 'capture' GROUP BY t.reference
        ) c ON c.reference = h.id
        WHERE a.amount IS DISTINCT FROM h.amount OR a.captured IS DISTINCT FROM h.captured
            OR coalesce(c.charged, 0) <> h.captured
            OR coalesce(c.charges, 0) <> (h.state = 'captured')::int
        """,
    ),
    Invariant(
        "I7 the hash chain of each account verifies",
        """
        SELECT t.id::text FROM (
            SELECT l.*, lag(l.hash, 1, ''::bytea)
                OVER (PARTITION BY l.org_id, l.unit ORDER BY l.seq) AS expected_prev
            FROM credits.ledger_tx l
        ) t
        JOIN credits.ledger_entry own ON own.tx_id = t.id AND own.n = 1
        JOIN credits.ledger_entry counter ON counter.tx_id = t.id AND counter.n = 2
        WHERE t.prev_hash <> t.expected_prev OR t.hash <> credits.posting_hash(
            t.prev_hash, t.id, t.org_id, t.unit, t.seq, t.kind, t.reference, t.note,
            own.amount, counter.account, t.at)
        """,
    ),
    Invariant(
        "I8 no hold is pending long after its end",
        "SELECT id FROM credits.hold WHERE state = 'pending' AND expires_at < :overdue",
    ),
    Invariant(
        "I9 what is over of a grant has expired",
        """
        SELECT id::text FROM credits.credit_grant
        WHERE remaining > held AND expires_at < :overdue
        """,
    ),
    Invariant(
        "I10 what left a grant was captured by holds or has expired",
        """
        SELECT g.id::text FROM credits.credit_grant g
        LEFT JOIN (
            SELECT grant_id, sum(captured) AS captured
            FROM credits.hold_allocation GROUP BY grant_id
        ) a ON a.grant_id = g.id
        LEFT JOIN (
            SELECT t.reference, -sum(e.amount) AS expired
            FROM credits.ledger_tx t JOIN credits.ledger_entry e ON e.tx_id = t.id AND e.n = 1
            WHERE t.kind = 'expiry' GROUP BY t.reference
        ) x ON x.reference = g.id::text
        WHERE g.amount - g.remaining <> coalesce(a.captured, 0) + coalesce(x.expired, 0)
        """,
    ),
)


async def offenders(session: AsyncSession, *, now: datetime) -> dict[str, list[str]]:
    """Give the invariants that do not hold, each with up to 100 ids that break it."""
    found = {}
    for invariant in INVARIANTS:
        # The bound is spelled out so that every query names the parameter.
        query = f"SELECT * FROM ({invariant.query}) AS broken(id) LIMIT {OFFENDERS_MAX}"  # noqa: S608 - our own constants
        needs_time = ":overdue" in invariant.query
        parameters = {"overdue": now - HOLD_GRACE} if needs_time else {}
        ids = (await session.scalars(sql(query), parameters)).all()
        if ids:
            found[invariant.name] = list(ids)
    return found
