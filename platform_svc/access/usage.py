"""When keys were used last: noted in memory, written in batches."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.tasks import attempt, periodic
from platform_svc.access.store import AccessStore

EVERY_SECONDS: Final = 10.0


@dataclass(slots=True)
class KeyUsage:
    """Collects the uses of this process; a crash loses those of the last seconds."""

    sessions: async_sessionmaker[AsyncSession]
    _uses: dict[uuid.UUID, datetime] = field(default_factory=dict)

    def note(self, key_id: uuid.UUID, when: datetime) -> None:
        """Remember a use until the next batch."""
        self._uses[key_id] = when

    async def run(self) -> None:
        """Write for ever."""
        await periodic("access-key-usage", EVERY_SECONDS, self.flush)

    async def flush_at_the_end(self) -> None:
        """Write the last batch; the end is not held up by a database that is away."""
        await attempt("access-key-usage", self.flush())

    async def flush(self) -> None:
        """Write what was noted since the last batch; what fails is tried with the next one."""
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            async with self.sessions.begin() as session:
                await AccessStore(session).note_uses(uses)
        except BaseException:
            self._uses = uses | self._uses
            raise
