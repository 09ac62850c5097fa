"""All SQL of subscriptions and of the credits that they order."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.clock import Ambient
from platform_svc.billing.catalogue import Interval, Offer
from platform_svc.billing.claiming import claim_due, due_again
from platform_svc.billing.subscription import CreditOrder, State, Subscription, Term
from platform_svc.billing.tables import CreditOrderRow, CustomerRow, SubscriptionRow


@dataclass(frozen=True, slots=True)
class DueOrder:
    """Credits that are to be booked now, and how often that was tried."""

    id: uuid.UUID
    order: CreditOrder
    attempts: int


@dataclass(frozen=True, slots=True)
class SubscriptionStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def lock_customer(self, org_id: uuid.UUID, *, now: datetime) -> None:
        """Make the organization known and hold its row: the first step of every change."""
        made = insert(CustomerRow).values(org_id=org_id, created_at=now).on_conflict_do_nothing()
        await self.session.execute(made)
        query = select(CustomerRow.org_id).where(CustomerRow.org_id == org_id).with_for_update()
        await self.session.execute(query)

    async def live(self, org_id: uuid.UUID) -> Subscription | None:
        """Return the organization's subscription that has not ended."""
        return await self._one(SubscriptionRow.org_id == org_id, SubscriptionRow.state != "ended")

    async def find(self, subscription_id: uuid.UUID) -> Subscription | None:
        """Return one subscription."""
        return await self._one(SubscriptionRow.id == subscription_id)

    async def by_provider_ref(self, provider: str, ref: str) -> Subscription | None:
        """Return the subscription that a provider knows by this name."""
        return await self._one(
            SubscriptionRow.provider == provider, SubscriptionRow.provider_ref == ref
        )

    async def save(self, subscription: Subscription, *, look_at: datetime | None) -> None:
        """Write a subscription, new or changed."""
        values = {**_columns(subscription), "look_at": look_at}
        statement = insert(SubscriptionRow).values(id=subscription.id, **values)
        await self.session.execute(
            statement.on_conflict_do_update(index_elements=[SubscriptionRow.id], set_=values)
        )

    async def due(self, *, now: datetime, count: int) -> list[uuid.UUID]:
        """Name organizations whose subscription is to be looked at."""
        query = (
            select(SubscriptionRow.org_id)
            .where(SubscriptionRow.look_at <= now)
            .order_by(SubscriptionRow.look_at)
            .limit(count)
        )
        return list(await self.session.scalars(query))

    async def put_off(self, org_id: uuid.UUID, *, until: datetime) -> None:
        """Look at an organization's live subscription no earlier than that."""
        statement = update(SubscriptionRow).where(
            SubscriptionRow.org_id == org_id, SubscriptionRow.look_at < until
        )
        await self.session.execute(statement.values(look_at=until))

    async def add_orders(self, orders: Sequence[CreditOrder], ambient: Ambient) -> None:
        """Write credits to be booked; a key that was ordered before is left as it is."""
        for order in orders:
            row = insert(CreditOrderRow).values(
                id=ambient.new_id(),
                org_id=order.org_id,
                subscription_id=order.subscription_id,
                key=order.key,
                amount=order.amount_credits,
                expires_at=order.expires_at,
                note=order.note,
                state="due",
                attempts=0,
                due_at=ambient.now(),
                created_at=ambient.now(),
            )
            await self.session.execute(row.on_conflict_do_nothing())

    async def claim_orders(
        self, *, now: datetime, lease: timedelta, count: int
    ) -> Sequence[DueOrder]:
        """Take orders that are due, putting each off so that nobody else takes it meanwhile."""
        rows = await claim_due(self.session, CreditOrderRow, now=now, lease=lease, count=count)
        return [DueOrder(row.id, _order(row), row.attempts) for row in rows]

    async def close_order(self, order_id: uuid.UUID, state: str) -> None:
        """Record that an order was given, or refused for good."""
        row = await self.session.get_one(CreditOrderRow, order_id)
        row.state, row.due_at = state, None

    async def delay_order(self, order: DueOrder, *, now: datetime) -> None:
        """Try an order again after a pause that grows."""
        row = await self.session.get_one(CreditOrderRow, order.id)
        row.due_at = due_again(now, order.attempts)

    async def _one(self, *conditions: ColumnElement[bool]) -> Subscription | None:
        # Rows are written by statements, which objects of this session would not notice.
        query = select(SubscriptionRow).where(*conditions).execution_options(populate_existing=True)
        row = await self.session.scalar(query)
        return None if row is None else _subscription(row)


def _columns(subscription: Subscription) -> dict[str, Any]:
    term = subscription.term
    return {
        "org_id": subscription.org_id,
        "provider": subscription.provider,
        "provider_ref": subscription.provider_ref,
        "checkout_url": subscription.checkout_url,
        "state": subscription.state.value,
        "plan": subscription.offer.plan,
        "version": subscription.offer.version,
        "interval": subscription.offer.interval.value,
        "term_start": None if term is None else term.start,
        "term_end": None if term is None else term.end,
        "started_at": subscription.started_at,
        "months_paid": subscription.months_paid,
        "credit_months": subscription.credit_months,
        "upcoming": None if subscription.upcoming is None else _document(subscription.upcoming),
        "cancel_at_end": subscription.cancel_at_end,
        "created_at": subscription.created_at,
        "ended_at": subscription.ended_at,
    }


def _document(offer: Offer) -> dict[str, Any]:
    return {"plan": offer.plan, "version": offer.version, "interval": offer.interval.value}


def _subscription(row: SubscriptionRow) -> Subscription:
    offer = Offer(row.plan, row.version, Interval(row.interval))
    upcoming = row.upcoming
    term = None
    if row.term_start is not None and row.term_end is not None:
        term = Term(offer, row.term_start, row.term_end)
    return Subscription(
        id=row.id,
        org_id=row.org_id,
        provider=row.provider,
        offer=offer,
        created_at=row.created_at,
        state=State(row.state),
        provider_ref=row.provider_ref,
        checkout_url=row.checkout_url,
        term=term,
        started_at=row.started_at,
        months_paid=row.months_paid,
        credit_months=row.credit_months,
        upcoming=None
        if upcoming is None
        else Offer(upcoming["plan"], upcoming["version"], Interval(upcoming["interval"])),
        cancel_at_end=row.cancel_at_end,
        ended_at=row.ended_at,
    )


def _order(row: CreditOrderRow) -> CreditOrder:
    return CreditOrder(
        row.org_id, row.subscription_id, row.key, row.amount, row.expires_at, row.note
    )
