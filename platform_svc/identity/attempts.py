"""Counts attempts in the database before they are made, for all commands that can be guessed at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from platform_svc.identity import throttle
from platform_svc.identity.errors import TooManyAttempts
from platform_svc.identity.store import IdentityStore


@dataclass(frozen=True, slots=True)
class Attempts:
    """What has been tried lately, by whom and from where."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def count(self, subjects: Sequence[throttle.Subject]) -> None:
        """Count an attempt in a transaction of its own.

        Raises:
            TooManyAttempts: one of the subjects must wait.
        """
        async with self.sessions.begin() as session:
            store = IdentityStore(session)
            tallies = await store.lock_tallies(subject.key for subject in subjects)
            counted = throttle.count_attempt(subjects, tallies, self.ambient.now())
            if isinstance(counted, timedelta):
                raise TooManyAttempts(counted)
            await store.save_tallies(counted)

    async def take_back(self, subjects: Sequence[throttle.Subject]) -> None:
        """Forgive in a transaction of its own, for an attempt that was not made at all."""
        async with self.sessions.begin() as session:
            await forgive(session, subjects)


async def forgive(session: AsyncSession, subjects: Sequence[throttle.Subject]) -> None:
    """Take the newest attempt back in the caller's transaction, which made it a success."""
    store = IdentityStore(session)
    tallies = await store.lock_tallies(subject.key for subject in subjects)
    await store.save_tallies(
        {subject.key: throttle.forgive(subject, tallies[subject.key]) for subject in subjects}
    )
