"""Records the events of Stripe, each once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from platform_svc.billing.event_store import EventStore, ProviderEvent
from platform_svc.billing.providers.stripe_reading import hinted


async def record_event(
    sessions: async_sessionmaker[AsyncSession], document: Mapping[str, Any], *, now: datetime
) -> str:
    """Record an event by its id; say "accepted", "duplicate" or "ignored".

    Only what it hints at is kept: the event itself holds what nobody here needs.
    """
    hint = hinted(document)
    kind, ref = hint or (str(document["type"]), "")
    event = ProviderEvent(str(document["id"]), kind, ref)
    async with sessions.begin() as session:
        is_new = await EventStore(session).add(event, now=now, is_due=hint is not None)
    if not is_new:
        return "duplicate"
    return "accepted" if hint is not None else "ignored"
