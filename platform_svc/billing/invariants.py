"""Facts that must always hold for subscriptions, as queries that return those that break them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Gauge
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.invariants import InvariantCheck
from platform_svc.billing.config import BillingSettings

OFFENDERS_MAX: Final = 100
# Workers that are well need seconds for what they are given here.
WORK_GRACE: Final = timedelta(hours=6)

OFFENDERS = Gauge("reelmesh_billing_offenders", "Rows that break an invariant", ["invariant"])

INVARIANTS: Final[Mapping[str, str]] = {
    "an organization has at most one live subscription": """
        SELECT org_id::text FROM billing.subscription WHERE state <> 'ended'
        GROUP BY org_id HAVING count(*) > 1
    """,
    "a live subscription is looked at when something is due": """
        SELECT id::text FROM billing.subscription WHERE state <> 'ended' AND look_at < :overdue
    """,
    "an invoice's total is the sum of its lines": """
        SELECT i.id::text FROM billing.invoice i WHERE i.total_cents <> (
            SELECT coalesce(sum((line->>'amount_cents')::bigint), 0)
            FROM jsonb_array_elements(i.lines) line)
    """,
    "numbers of invoices have no gaps": """
        SELECT c.year::text FROM billing.invoice_counter c WHERE c.last <> (
            SELECT count(*) FROM billing.invoice i
            WHERE i.provider = 'manual' AND i.number LIKE format('RM-%s-%%', c.year))
    """,
    "a term that was begun is paid": """
        SELECT s.id::text FROM billing.subscription s
        WHERE s.months_paid > 0 AND s.provider = 'manual' AND s.months_paid <> (
            SELECT coalesce(sum(CASE i.interval WHEN 'year' THEN 12 ELSE 1 END), 0)
            FROM billing.invoice i
            WHERE i.subscription_id = s.id AND i.state = 'paid' AND i.reason <> 'upgrade'
                AND (i.term_start IS NULL OR i.term_start <= s.term_start))
    """,
    "credits that were ordered are booked": """
        SELECT id::text FROM billing.credit_order
        WHERE state = 'refused' OR (state = 'due' AND created_at < :overdue)
    """,
    "events of a provider are followed": """
        SELECT id FROM billing.provider_event WHERE state = 'due' AND received_at < :overdue
    """,
}


async def offenders(session: AsyncSession, *, now: datetime) -> dict[str, list[str]]:
    """Give the invariants that do not hold, each with up to 100 ids that break it."""
    found = {}
    for name, query in INVARIANTS.items():
        limited = f"SELECT * FROM ({query}) AS broken(id) LIMIT {OFFENDERS_MAX}"  # noqa: S608 - our own constants
        parameters = {"overdue": now - WORK_GRACE} if ":overdue" in query else {}
        ids = (await session.scalars(sql(limited), parameters)).all()
        if ids:
            found[name] = list(ids)
    return found


def invariant_check(
    sessions: async_sessionmaker[AsyncSession], ambient: Ambient, settings: BillingSettings
) -> InvariantCheck:
    """Give what looks for offenders at each interval."""

    async def look() -> Mapping[str, Sequence[str]]:
        async with sessions() as session:
            return await offenders(session, now=ambient.now())

    names = list(INVARIANTS)
    return InvariantCheck("billing-invariants", OFFENDERS, names, look, settings.check_interval)
