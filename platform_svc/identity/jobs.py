"""Background work of the identity service: forgets attempts and sessions that are long over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from platform_svc.identity.store import IdentityStore
from platform_svc.identity.throttle import FORGET_AFTER_MAX

INTERVAL = timedelta(hours=1)
# Ended sessions are kept for those who look into an incident.
SESSIONS_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Deletes what nothing reads any more."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Forget at each interval, and at once when `wake` is set."""
        while True:
            await self.forget()
            try:
                async with asyncio.timeout(INTERVAL.total_seconds()):
                    await self.wake.wait()
            except TimeoutError:
                continue
            self.wake.clear()

    async def forget(self) -> None:
        """Delete old attempts and long-ended sessions."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            store = IdentityStore(session)
            await store.delete_tallies(before=now - FORGET_AFTER_MAX)
            await store.delete_sessions(before=now - SESSIONS_KEPT)
