"""All SQL of invoices."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.billing.catalogue import Interval, Offer
from platform_svc.billing.invoice import Invoice, InvoiceState, Line, Reason
from platform_svc.billing.tables import InvoiceCounterRow, InvoiceRow


class Position(NamedTuple):
    """Where an invoice stands in the listing of its organization."""

    issued_at: datetime
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class InvoiceStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def next_number(self, year: int) -> str:
        """Take the next number of a year; others wait for the transaction, so none is lost."""
        counter = insert(InvoiceCounterRow).values(year=year, last=1)
        taken = counter.on_conflict_do_update(
            index_elements=[InvoiceCounterRow.year], set_={"last": InvoiceCounterRow.last + 1}
        ).returning(InvoiceCounterRow.last)
        return f"RM-{year}-{await self.session.scalar(taken):06d}"

    async def save(self, invoice: Invoice) -> None:
        """Write an invoice; of one that exists only the state and the provider's page change."""
        values = _columns(invoice)
        changes = {name: values[name] for name in ("state", "paid_at", "provider_url")}
        statement = insert(InvoiceRow).values(id=invoice.id, **values)
        await self.session.execute(
            statement.on_conflict_do_update(index_elements=[InvoiceRow.id], set_=changes)
        )

    async def find(self, invoice_id: uuid.UUID) -> Invoice | None:
        """Return one invoice, whosever it is."""
        return await self._one(InvoiceRow.id == invoice_id)

    async def of_org(self, org_id: uuid.UUID, invoice_id: uuid.UUID) -> Invoice | None:
        """Return one invoice of an organization."""
        return await self._one(InvoiceRow.id == invoice_id, InvoiceRow.org_id == org_id)

    async def by_provider_ref(self, provider: str, ref: str) -> Invoice | None:
        """Return the invoice that a provider knows by this name."""
        return await self._one(InvoiceRow.provider == provider, InvoiceRow.provider_ref == ref)

    async def renewal(self, subscription_id: uuid.UUID, term_start: datetime) -> Invoice | None:
        """Return the invoice, open or paid, of the term that begins then."""
        return await self._one(
            InvoiceRow.subscription_id == subscription_id,
            InvoiceRow.reason == Reason.RENEWAL.value,
            InvoiceRow.term_start == term_start,
            InvoiceRow.state != InvoiceState.VOID.value,
        )

    async def open(self, subscription_id: uuid.UUID, *reasons: Reason) -> Invoice | None:
        """Return the newest open invoice of a subscription, or that for one of the reasons."""
        query = (
            select(InvoiceRow)
            .where(InvoiceRow.subscription_id == subscription_id)
            .where(InvoiceRow.state == InvoiceState.OPEN.value)
            .order_by(InvoiceRow.issued_at.desc(), InvoiceRow.id.desc())
            .limit(1)
            .execution_options(populate_existing=True)
        )
        if reasons:
            query = query.where(InvoiceRow.reason.in_([one.value for one in reasons]))
        row = await self.session.scalar(query)
        return None if row is None else _invoice(row)

    async def void_open(self, subscription_id: uuid.UUID, *reasons: Reason) -> None:
        """Make the open invoices of a subscription void: all of them, or those for the reasons."""
        statement = (
            update(InvoiceRow)
            .where(InvoiceRow.subscription_id == subscription_id)
            .where(InvoiceRow.state == InvoiceState.OPEN.value)
            .values(state=InvoiceState.VOID.value)
        )
        if reasons:
            statement = statement.where(InvoiceRow.reason.in_([one.value for one in reasons]))
        await self.session.execute(statement)

    async def page(
        self, org_id: uuid.UUID, *, after: Position | None, count: int
    ) -> Sequence[Invoice]:
        """Return up to `count` invoices of an organization, newest first, older than `after`."""
        query = (
            select(InvoiceRow)
            .where(InvoiceRow.org_id == org_id)
            .order_by(InvoiceRow.issued_at.desc(), InvoiceRow.id.desc())
            .limit(count)
        )
        if after is not None:
            query = query.where(tuple_(InvoiceRow.issued_at, InvoiceRow.id) < tuple_(*after))
        return [_invoice(row) for row in await self.session.scalars(query)]

    async def _one(self, *conditions: ColumnElement[bool]) -> Invoice | None:
        # Rows are written by statements, which objects of this session would not notice.
        query = select(InvoiceRow).where(*conditions).execution_options(populate_existing=True)
        row = await self.session.scalar(query)
        return None if row is None else _invoice(row)


def _columns(invoice: Invoice) -> dict[str, Any]:
    return {
        "number": invoice.number,
        "org_id": invoice.org_id,
        "subscription_id": invoice.subscription_id,
        "reason": invoice.reason.value,
        "plan": invoice.offer.plan,
        "version": invoice.offer.version,
        "interval": invoice.offer.interval.value,
        "currency": invoice.currency,
        "lines": [asdict(line) for line in invoice.lines],
        "total_cents": invoice.total_cents,
        "provider": invoice.provider,
        "provider_ref": invoice.provider_ref,
        "provider_url": invoice.provider_url,
        "state": invoice.state.value,
        "term_start": invoice.term_start,
        "issued_at": invoice.issued_at,
        "due_at": invoice.due_at,
        "paid_at": invoice.paid_at,
    }


def _invoice(row: InvoiceRow) -> Invoice:
    return Invoice(
        id=row.id,
        number=row.number,
        org_id=row.org_id,
        subscription_id=row.subscription_id,
        reason=Reason(row.reason),
        offer=Offer(row.plan, row.version, Interval(row.interval)),
        currency=row.currency,
        lines=tuple(Line(**line) for line in row.lines),
        provider=row.provider,
        issued_at=row.issued_at,
        state=InvoiceState(row.state),
        term_start=row.term_start,
        due_at=row.due_at,
        paid_at=row.paid_at,
        provider_ref=row.provider_ref,
        provider_url=row.provider_url,
    )
