"""Plain values, of which a test names only what it is about."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from platform_svc.billing.catalogue import Interval, Offer, load_catalogue
from platform_svc.billing.subscription import State, Subscription, Term, begin_term, next_term

ORG = uuid.UUID("01930000-0000-7000-8000-000000000001")
OTHER_ORG = uuid.UUID("01930000-0000-7000-8000-000000000002")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
CATALOGUE = load_catalogue()
CREATOR = CATALOGUE.offer("creator", Interval.MONTH)
CREATOR_YEARLY = CATALOGUE.offer("creator", Interval.YEAR)
STUDIO = CATALOGUE.offer("studio", Interval.MONTH)


def incomplete(offer: Offer = CREATOR, **changes: Any) -> Subscription:
    fields = {"id": uuid.UUID(int=9), "org_id": ORG, "provider": "manual", "created_at": NOW}
    return Subscription(**(fields | {"offer": offer} | changes))


def active(offer: Offer = CREATOR, **changes: Any) -> Subscription:
    waiting = incomplete(offer)
    return replace(begin_term(waiting, next_term(waiting, offer, NOW)), **changes)


def overdue() -> Subscription:
    return active(state=State.PAST_DUE)


def term(offer: Offer, start: datetime, end: datetime) -> Term:
    return Term(offer, start, end)
