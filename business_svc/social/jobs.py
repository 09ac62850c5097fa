"""Background work of the social service: deliveries, counts, rankings, and feeds cut short."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.counting_store import CountingStore
from business_svc.social.delivery_store import DeliveryStore
from business_svc.social.home_store import HomeStore
from business_svc.social.ranking import ranked
from business_svc.social.ranking_store import RankingStore
from business_svc.social.waking import Waker
from meshkit.clock import Ambient
from meshkit.tasks import periodic

POLL_SECONDS: Final = 1.0
COUNT_SECONDS: Final = 1.0
TRIM_SECONDS: Final = 3600.0
TRIM_USERS_MAX: Final = 200
# Longer than a reader takes to turn a page.
RANKING_KEPT_FOR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Writes new posts into the home feeds of their authors' followers."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    waker: Waker

    async def run(self) -> None:
        """Deliver for ever: at once after a post of this process, else every second."""
        while True:
            await self.deliver_all()
            await self.waker.wait(POLL_SECONDS)

    async def deliver_all(self) -> None:
        """Deliver all that waits."""
        waiting = True
        while waiting:
            async with self.sessions.begin() as session:
                waiting = await DeliveryStore(session).deliver_chunk(now=self.ambient.now())


@dataclass(frozen=True, slots=True)
class Counter:
    """Makes counts and scores anew from the facts, for all that was touched."""

    sessions: async_sessionmaker[AsyncSession]

    async def run(self) -> None:
        """Count every second."""
        await periodic("social-counter", COUNT_SECONDS, self.count_all)

    async def count_all(self) -> None:
        """Count until nothing is touched."""
        counted = 1
        while counted:
            async with self.sessions.begin() as session:
                counted = await CountingStore(session).recount()


@dataclass(frozen=True, slots=True)
class Ranker:
    """Makes a new numbered ranking of explore whenever the order has changed."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    interval: timedelta

    async def run(self) -> None:
        """Rank at each interval."""
        await periodic("social-ranker", self.interval.total_seconds(), self.rank)

    async def rank(self) -> None:
        """Rank once; does nothing while another process ranks."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            store = RankingStore(session)
            if not await store.lock():
                return
            order = ranked(await store.candidates())
            newest = await store.newest()
            if not newest or list(await store.order(newest)) != order:
                newest = await store.add(order, now=now)
            await store.forget(before=now - RANKING_KEPT_FOR, but=newest)


@dataclass(frozen=True, slots=True)
class Trimmer:
    """Cuts home feeds to the newest 800 posts."""

    sessions: async_sessionmaker[AsyncSession]

    async def run(self) -> None:
        """Cut all feeds every hour."""
        await periodic("social-trimmer", TRIM_SECONDS, self.trim_all)

    async def trim_all(self) -> None:
        """Cut the feeds of all users, some of them at a time."""
        last: uuid.UUID | None = None
        while True:
            async with self.sessions.begin() as session:
                last = await HomeStore(session).trim(last, count=TRIM_USERS_MAX)
            if last is None:
                return
