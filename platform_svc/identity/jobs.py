"""Background work of the identity service: forgets attempts and sessions that are long over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.tasks import periodic
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

    async def run(self) -> None:
        """Forget at each interval."""
        await periodic("identity-forgetting", INTERVAL.total_seconds(), self.forget)

    async def forget(self) -> None:
        """Delete old attempts and long-ended sessions."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            store = IdentityStore(session)
            await store.delete_tallies(before=now - FORGET_AFTER_MAX)
            await store.delete_sessions(before=now - SESSIONS_KEPT)
