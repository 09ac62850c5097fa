"""All SQL of the credits service.

Every write is one call of a server-side function that is a whole transaction: the session is put
in autocommit, so that the account's lock is held for the statement and for no round trip more.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.credits.ledger import (
    UNIT,
    Balance,
    BurnPosition,
    Capture,
    Grant,
    GrantRequest,
    Hold,
    HoldRequest,
    HoldState,
    Posting,
    PostingKind,
)
from platform_svc.credits.tables import LedgerEntryRow, LedgerTxRow

GIVE_GRANT = sql("""
    SELECT r.outcome, (r.given).* FROM credits.give_grant(:id, :org_id, :unit, :kind, :amount,
        :priority, :expires_at, :key, :note, :now, :posted_max) AS r
""")
PLACE_HOLD = sql("""
    SELECT r.outcome, r.available, (r.placed).*
    FROM credits.place_hold(:id, :org_id, :unit, :amount, :expires_at, :now) AS r
""")
CAPTURE_HOLD = sql("""
    SELECT r.outcome, (r.closed).* FROM credits.capture_hold(:id, :amount, :now) AS r
""")
RELEASE_HOLD = sql("SELECT r.outcome, (r.closed).* FROM credits.release_hold(:id, :now) AS r")
SWEEP = sql("SELECT credits.sweep(:org_id, :unit, :now)")
DUE_ACCOUNTS = sql("""
    SELECT org_id, unit FROM credits.credit_grant WHERE remaining > held AND expires_at <= :now
    UNION
    SELECT org_id, unit FROM credits.hold WHERE state = 'pending' AND expires_at <= :now
    LIMIT :count
""")
# Exact at any moment: what is due counts as settled even before the sweeper has come by.
BALANCE = sql("""
    WITH due AS (
        SELECT id, amount FROM credits.hold
        WHERE org_id = :org_id AND unit = :unit AND state = 'pending' AND expires_at <= :now
    ), freed AS (
        SELECT a.grant_id, sum(a.amount) AS amount
        FROM credits.hold_allocation a JOIN due ON due.id = a.hold_id GROUP BY a.grant_id
    )
    SELECT a.held - (SELECT coalesce(sum(amount), 0) FROM due) AS held, (
        SELECT coalesce(sum(g.remaining - g.held + coalesce(f.amount, 0)), 0)
        FROM credits.credit_grant g LEFT JOIN freed f ON f.grant_id = g.id
        WHERE g.org_id = a.org_id AND g.unit = a.unit AND g.remaining > 0
            AND (g.expires_at IS NULL OR g.expires_at > :now)
    ) AS available
    FROM credits.account a WHERE a.org_id = :org_id AND a.unit = :unit
""")


OPEN_GRANTS = sql("""
    SELECT * FROM credits.credit_grant
    WHERE org_id = :org_id AND unit = :unit AND remaining > 0
        AND (expires_at IS NULL OR expires_at > :now OR held > 0)
        AND (priority, coalesce(expires_at, 'infinity'), id)
            > (:priority, coalesce(CAST(:expires_at AS timestamptz), 'infinity'), :id)
    ORDER BY priority, expires_at NULLS LAST, id
    LIMIT :count
""")
# Before every grant: priorities are not negative.
FIRST = BurnPosition(-1, None, uuid.UUID(int=0))


@dataclass(frozen=True, slots=True)
class GrantOutcome:
    """What became of a grant: "given", "reused", "full" or "past"."""

    outcome: str
    grant: Grant | None


@dataclass(frozen=True, slots=True)
class HoldOutcome:
    """What became of a call on a hold; `hold` is None when no hold has the id."""

    outcome: str
    hold: Hold | None
    available_credits: int = 0


@dataclass(frozen=True, slots=True)
class CreditStore:
    """Calls the ledger's functions and reads its tables; a session serves one call."""

    session: AsyncSession

    async def give_grant(
        self, request: GrantRequest, *, grant_id: uuid.UUID, now: datetime, credits_max: int
    ) -> GrantOutcome:
        """Give credits once per idempotency key."""
        row = await self._call(
            GIVE_GRANT,
            {
                "id": grant_id,
                "org_id": request.org_id,
                "unit": UNIT,
                "kind": request.kind.value,
                "amount": request.amount_credits,
                "priority": request.priority,
                "expires_at": request.expires_at,
                "key": request.idempotency_key,
                "note": request.note,
                "now": now,
                "posted_max": credits_max,
            },
        )
        return GrantOutcome(row["outcome"], None if row["id"] is None else _grant(row))

    async def place_hold(self, request: HoldRequest, *, now: datetime) -> HoldOutcome:
        """Set credits aside: "placed", "insufficient" or "reused"."""
        row = await self._call(
            PLACE_HOLD,
            {
                "id": request.id,
                "org_id": request.org_id,
                "unit": UNIT,
                "amount": request.amount_credits,
                "expires_at": now + request.ttl,
                "now": now,
            },
        )
        return HoldOutcome(row["outcome"], _hold(row), row["available"])

    async def capture_hold(
        self, hold_id: str, *, amount_credits: int, now: datetime
    ) -> HoldOutcome:
        """Charge part of a hold: "captured", "exceeds", "closed" or "unknown"."""
        row = await self._call(CAPTURE_HOLD, {"id": hold_id, "amount": amount_credits, "now": now})
        return HoldOutcome(row["outcome"], _hold(row))

    async def release_hold(self, hold_id: str, *, now: datetime) -> HoldOutcome:
        """Give a hold back: "released", "closed" or "unknown"."""
        row = await self._call(RELEASE_HOLD, {"id": hold_id, "now": now})
        return HoldOutcome(row["outcome"], _hold(row))

    async def due_accounts(self, *, now: datetime, count: int) -> list[tuple[uuid.UUID, str]]:
        """Name up to `count` accounts with a hold or a grant that is past its end."""
        rows = await self.session.execute(DUE_ACCOUNTS, {"now": now, "count": count})
        return [(row.org_id, row.unit) for row in rows]

    async def sweep(self, org_id: uuid.UUID, unit: str, *, now: datetime) -> bool:
        """Settle what is due on one account; False if the account is busy or unknown."""
        await self._autocommit()
        return bool(await self.session.scalar(SWEEP, {"org_id": org_id, "unit": unit, "now": now}))

    async def balance(self, org_id: uuid.UUID, *, now: datetime) -> Balance:
        """Read what an organization owns; zeros if it was never granted anything."""
        rows = await self.session.execute(BALANCE, {"org_id": org_id, "unit": UNIT, "now": now})
        row = rows.mappings().one_or_none()
        if row is None:
            return Balance(available_credits=0, held_credits=0)
        return Balance(int(row["available"]), int(row["held"]))

    async def postings(
        self, org_id: uuid.UUID, *, before_seq: int | None, count: int
    ) -> list[Posting]:
        """Read up to `count` postings on the account, newest first, below `before_seq`."""
        query = (
            select(LedgerTxRow, LedgerEntryRow.amount)
            .join(LedgerEntryRow, LedgerEntryRow.tx_id == LedgerTxRow.id)
            .where(LedgerTxRow.org_id == org_id, LedgerTxRow.unit == UNIT)
            .where(LedgerEntryRow.n == 1)
            .order_by(LedgerTxRow.seq.desc())
            .limit(count)
        )
        if before_seq is not None:
            query = query.where(LedgerTxRow.seq < before_seq)
        rows = await self.session.execute(query)
        return [_posting(row, amount) for row, amount in rows]

    async def open_grants(
        self, org_id: uuid.UUID, *, after: BurnPosition | None, count: int, now: datetime
    ) -> list[Grant]:
        """Read up to `count` grants with something left, in burn order, after a place in it."""
        place = after or FIRST
        parameters = {"org_id": org_id, "unit": UNIT, "now": now, "count": count}
        rows = await self.session.execute(OPEN_GRANTS, parameters | place._asdict())
        return [_grant(row) for row in rows.mappings()]

    async def captures(self, since: datetime, *, count: int) -> AsyncIterator[Sequence[Capture]]:
        """Read the captures of every organization since then, oldest first, some at a time."""
        query = (
            select(LedgerTxRow, LedgerEntryRow.amount)
            .join(LedgerEntryRow, LedgerEntryRow.tx_id == LedgerTxRow.id)
            .where(LedgerTxRow.kind == PostingKind.CAPTURE, LedgerTxRow.unit == UNIT)
            .where(LedgerTxRow.at >= since, LedgerEntryRow.n == 1)
            .order_by(LedgerTxRow.at, LedgerTxRow.id)
            .execution_options(yield_per=count)
        )
        rows = await self.session.stream(query)
        async for chunk in rows.partitions(count):
            yield [Capture(row.reference, row.org_id, -amount, row.at) for row, amount in chunk]

    async def _call(self, statement: Any, parameters: Mapping[str, Any]) -> RowMapping:
        await self._autocommit()
        return (await self.session.execute(statement, parameters)).mappings().one()

    async def _autocommit(self) -> None:
        await self.session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})


def _grant(row: RowMapping) -> Grant:
    return Grant(
        id=row["id"],
        org_id=row["org_id"],
        kind=row["kind"],
        amount_credits=row["amount"],
        remaining_credits=row["remaining"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        held_credits=row["held"],
        priority=row["priority"],
        note=row["note"],
    )


def _hold(row: RowMapping) -> Hold | None:
    if row["id"] is None:
        return None
    return Hold(
        id=row["id"],
        org_id=row["org_id"],
        amount_credits=row["amount"],
        captured_credits=row["captured"],
        state=HoldState(row["state"]),
        expires_at=row["expires_at"],
    )


def _posting(row: LedgerTxRow, amount: int) -> Posting:
    return Posting(
        transaction_id=row.id,
        seq=row.seq,
        kind=PostingKind(row.kind),
        amount_credits=amount,
        reference=row.reference,
        note=row.note,
        created_at=row.at,
    )
