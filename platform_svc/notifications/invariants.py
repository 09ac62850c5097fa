"""Facts that must always hold for webhooks, as queries that return what breaks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.notifications.tables import AttemptRow, DeliveryRow, EndpointRow, SecretRow
from platform_svc.notifications.webhooks import DeliveryState

# Every lease is over long before, so nobody is at work on it and nobody was.
OVERDUE: Final = timedelta(minutes=30)
NEEDS_SECRET: Final = "an endpoint has one newest secret"  # noqa: S105 - a fact
NOTHING_WAITS: Final = "nothing waits for a disabled endpoint"
IN_TIME: Final = "a delivery that is due is made"
LOGGED: Final = "a delivery that succeeded has one successful attempt"
NAMES: Final = (NEEDS_SECRET, NOTHING_WAITS, IN_TIME, LOGGED)


def queries(now: datetime) -> Mapping[str, Select[object]]:
    """Return each fact with the query for the ids of what breaks it."""
    pending = DeliveryRow.state == DeliveryState.PENDING
    disabled = exists().where(
        EndpointRow.id == DeliveryRow.endpoint_id, EndpointRow.disabled.is_not(None)
    )
    newest = exists().where(SecretRow.endpoint_id == EndpointRow.id, SecretRow.expires_at.is_(None))
    taken = exists().where(AttemptRow.delivery_id == DeliveryRow.id, AttemptRow.failure == "")
    return {
        NEEDS_SECRET: select(EndpointRow.id).where(~newest),
        NOTHING_WAITS: select(DeliveryRow.id).where(pending, disabled),
        IN_TIME: select(DeliveryRow.id).where(
            pending, ~disabled, DeliveryRow.next_attempt_at < now - OVERDUE
        ),
        LOGGED: select(DeliveryRow.id).where(
            and_(DeliveryRow.state == DeliveryState.SUCCEEDED, ~taken)
        ),
    }


async def offenders(session: AsyncSession, *, now: datetime) -> dict[str, Sequence[str]]:
    """Return the facts that do not hold, each with the ids that break it."""
    found: dict[str, Sequence[str]] = {}
    for fact, query in queries(now).items():
        ids = [str(one) for one in await session.scalars(query)]
        if ids:
            found[fact] = ids
    return found
