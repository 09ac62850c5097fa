"""The only write use case of the audit service: append."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from platform_svc.audit.entry import Entry, linked
from platform_svc.audit.store import AuditStore


@dataclass(frozen=True, slots=True)
class AuditCommands:
    """What may be done to logs."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def append(self, entry: Entry) -> bool:
        """Put an entry at the end of its organization's log; False if it stands there already."""
        async with self.sessions.begin() as session:
            store = AuditStore(session)
            # The lock comes first: it also orders two deliveries of one entry.
            head = await store.lock_head(entry.org_id)
            if await store.has(entry.id):
                return False
            await store.append(linked(entry, head, now=self.ambient.now()))
        return True
