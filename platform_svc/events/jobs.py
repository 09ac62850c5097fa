"""Background work of the events service: what is kept is bounded, and what must hold is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.invariants import InvariantCheck
from meshkit.tasks import periodic
from platform_svc.events.invariants import INVARIANTS, offenders
from platform_svc.events.store import EventStore

SWEEP_SECONDS: Final = 3600.0
MESSAGES_KEPT_FOR: Final = timedelta(days=14)
FAILED_KEPT_FOR: Final = timedelta(days=30)

OFFENDERS = Gauge("reelmesh_events_offenders", "Rows that break an invariant", ["invariant"])


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Forgets message ids after 14 days and failed events after 30, or beyond 10,000."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def run(self) -> None:
        """Sweep hourly."""
        await periodic("events-sweeper", SWEEP_SECONDS, self.sweep)

    async def sweep(self) -> int:
        """Delete what is over and say how many rows there were."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            swept = await EventStore(session).sweep_messages(now - MESSAGES_KEPT_FOR)
        async with self.sessions.begin() as session:
            return swept + await EventStore(session).sweep_failed(now - FAILED_KEPT_FOR)


def invariant_check(
    sessions: async_sessionmaker[AsyncSession], ambient: Ambient, interval: timedelta
) -> InvariantCheck:
    """Give the check of the schema's invariants."""

    async def look() -> Mapping[str, Sequence[str]]:
        async with sessions() as session:
            return await offenders(session, now=ambient.now())

    return InvariantCheck("events-invariants", OFFENDERS, list(INVARIANTS), look, interval)
