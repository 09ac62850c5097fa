"""Deletes what the shared tables need no longer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit import idempotency, inbox
from meshkit.postgres import Database
from meshkit.tasks import periodic

EVERY_SECONDS: Final = 3600.0
SWEEPS: Final[dict[str, Callable[[AsyncSession], Awaitable[int]]]] = {
    "idempotency_keys": idempotency.sweep,
    "inbox": inbox.sweep,
}


class Retention:
    """Sweeps those of the shared tables that a schema has, once an hour."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Sweep for ever."""
        await periodic(f"{self._database.schema}-retention", EVERY_SECONDS, self.sweep)

    async def sweep(self) -> int:
        """Delete what is over and say how many rows there were; one transaction a table."""
        swept = 0
        for table, sweep in SWEEPS.items():
            async with self._database.sessions.begin() as session:
                name = f'"{self._database.schema}".{table}'
                if await session.scalar(sa.select(sa.func.to_regclass(name))) is not None:
                    swept += await sweep(session)
        return swept
