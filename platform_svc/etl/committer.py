"""Sees to it that one process commits to the lake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from meshkit.postgres import create_engine
from platform_svc.etl.store import COMMITTER


class AnotherCommitter(Exception):
    """Another process commits to the lake now."""


@dataclass(frozen=True, slots=True)
class Committer:
    """The right to commit, for as long as its connection lives."""

    connection: AsyncConnection

    async def confirm(self) -> None:
        """Demand that the right is still there; to be called before each commit.

        A process that lost it between this and its commit fails at the commit, for the catalogue
        swaps a table's state only if it is the one that was read.

        Raises:
            DatabaseUnavailable: the connection is lost, and the right with it.
        """
        await self.connection.execute(sa.select(1))


@asynccontextmanager
async def only_committer(database_url: str) -> AsyncIterator[Committer]:
    """Take the right to commit.

    Raises:
        AnotherCommitter: somebody else has it.
    """
    engine = create_engine(database_url, pool_size=1)
    try:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            lock = sa.func.pg_try_advisory_lock(sa.func.hashtextextended(COMMITTER, 0))
            if not await connection.scalar(sa.select(lock)):
                raise AnotherCommitter("another process commits to the lake now")
            yield Committer(connection)
            # A connection that goes back to its pool would keep the lock.
            await connection.invalidate()
    finally:
        await engine.dispose()
