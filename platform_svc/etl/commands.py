"""Write use cases of the ETL service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from platform_svc.etl.run import Failure, Outcome, Run
from platform_svc.etl.store import EtlStore


@dataclass(frozen=True, slots=True)
class EtlCommands:
    """What may be done with runs; `asked` is set when one was asked for in this process."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, asked_by: str) -> Run:
        """Ask for a run, or give the one that waits."""
        async with self.sessions.begin() as session:
            run = await EtlStore(session).ask(self.ambient.new_id(), asked_by, self.ambient.now())
        self.asked.set()
        return run

    async def claim(self) -> Run | None:
        """Take the run that waits, if none is under way."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            await EtlStore(session).give_up_lost(now)
        async with self.sessions.begin() as session:
            return await EtlStore(session).claim(now)

    async def give_up(self, run: Run, failure: Failure) -> bool:
        """Record that the run's process ended without a word; False if it did say its end."""
        async with self.sessions.begin() as session:
            return await EtlStore(session).finish(run.id, Outcome(), failure, self.ambient.now())
