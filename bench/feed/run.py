"""Times the home feed, explore and the delivery of a post through a served social service."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
from reelmesh.business.social.v1 import feeds_service_pb2 as pb
from reelmesh.business.social.v1.feeds_service_pb2_grpc import FeedsServiceStub

from bench.feed.town import READERS, STAR, Size, build, size
from bench.figures import Figure
from bench.quantiles import quantile
from business_svc.social.config import SocialSettings
from business_svc.social.home_store import HomeStore
from business_svc.social.reaction_tables import DeliveryRow
from business_svc.social.wiring import MIGRATIONS, Social, assemble
from meshkit.clock import Ambient, utc_now
from meshkit.postgres import Database, driver_url
from meshkit.testing.databases import Databases, PostgresServer
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import UserChannel, serve

PAGE = 20
CALLS = 300
HOME_MS_MAX = 50.0
EXPLORE_MS_MAX = 100.0
DELIVERY_SECONDS_MAX = 2.0
# What a feed costs without delivery: the newest of each followee, at each read.
ON_READ = """
SELECT n.id FROM social.follow f CROSS JOIN LATERAL (
    SELECT p.id FROM social.post p WHERE p.author_id = f.followee_id AND p.state = 'published'
        AND NOT EXISTS (SELECT 1 FROM social.block b
                        WHERE b.blocker_id = p.author_id AND b.blocked_id = f.follower_id)
    ORDER BY p.id DESC LIMIT 21) n
WHERE f.follower_id = $1 ORDER BY n.id DESC LIMIT 21
"""
NEWEST_OF_STAR = """
UPDATE social.post SET author_id = $1
WHERE id = (SELECT id FROM social.post ORDER BY id DESC LIMIT 1) RETURNING id
"""


@dataclass(frozen=True, slots=True)
class World:
    """A served social service and the database behind it."""

    database: Database
    social: Social
    address: str
    identity: TestIdentity
    connection: asyncpg.Connection
    town: Size


def measure() -> list[Figure]:
    """Build the town and time what users wait for."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    async with _world() as world:
        readers = [
            uuid.UUID(int=2 + number) for number in range(min(READERS, world.town.users - 1))
        ]
        async with world.database.sessions.begin() as session:
            for reader in readers:
                await HomeStore(session).rebuild(reader)
        await world.connection.execute("VACUUM ANALYZE social.home_entry")
        await world.social.ranker.rank()
        on_read = await _times(
            lambda number: world.connection.fetch(ON_READ, readers[number % len(readers)])
        )
        home, pages, explore = await _reads(world, readers)
        return [
            *_read_figures(world.town, home, pages, explore, on_read),
            await _delivery(world),
        ]


async def _reads(
    world: World, readers: list[uuid.UUID]
) -> tuple[list[float], list[float], list[float]]:
    stubs = []
    for reader in readers[:50]:
        user = replace(USER, user_id=reader)
        channel = UserChannel(world.address, world.identity, user)
        stubs.append(channel.stub(FeedsServiceStub))
    tokens: dict[int, str] = {}

    async def first(number: int) -> None:
        answer = await stubs[number % len(stubs)].GetHomeFeed(pb.GetHomeFeedRequest(page_size=PAGE))
        assert len(answer.posts) == PAGE
        tokens[number % len(stubs)] = answer.next_page_token

    async def second(number: int) -> None:
        token = tokens[number % len(stubs)]
        request = pb.GetHomeFeedRequest(page_size=PAGE, page_token=token)
        assert (await stubs[number % len(stubs)].GetHomeFeed(request)).posts

    async def explore(number: int) -> None:
        answer = await stubs[number % len(stubs)].Explore(pb.ExploreRequest(page_size=PAGE))
        assert len(answer.posts) == PAGE

    return await _times(first), await _times(second), await _times(explore)


def _read_figures(
    town: Size, home: list[float], pages: list[float], explore: list[float], on_read: list[float]
) -> list[Figure]:
    what = f"of {town.posts:,} posts and {town.users:,} users, 20 a page, over gRPC"
    return [
        Figure(
            id="F1",
            what=f"home feed {what}, p99",
            value=quantile(home, 0.99),
            unit="ms",
            floor=HOME_MS_MAX,
            better="lower",
            peers={
                "p50 ms": round(quantile(home, 0.5), 2),
                "next page p99 ms": round(quantile(pages, 0.99), 2),
                "fan-out on read, SQL only, p50 ms": round(quantile(on_read, 0.5), 2),
                "fan-out on read, SQL only, p99 ms": round(quantile(on_read, 0.99), 2),
            },
        ),
        Figure(
            id="F2",
            what=f"explore {what}, p99",
            value=quantile(explore, 0.99),
            unit="ms",
            floor=EXPLORE_MS_MAX,
            better="lower",
            peers={"p50 ms": round(quantile(explore, 0.5), 2)},
        ),
    ]


async def _delivery(world: World) -> Figure:
    star = uuid.UUID(int=STAR)
    post_id = await world.connection.fetchval(NEWEST_OF_STAR, star)
    begun = time.perf_counter()
    async with world.database.sessions.begin() as session:
        session.add(DeliveryRow(post_id=post_id, author_id=star, created_at=utc_now()))
    await world.social.deliverer.deliver_all()
    seconds = time.perf_counter() - begun
    return Figure(
        id="F3",
        what=f"a post in the home feeds of {world.town.star_followers:,} followers",
        value=seconds,
        unit="s",
        floor=DELIVERY_SECONDS_MAX,
        better="lower",
        peers={"followers a second": round(world.town.star_followers / seconds)},
    )


async def _times(call: Callable[[int], Awaitable[Any]]) -> list[float]:
    """Give the milliseconds of each call, after a warm-up."""
    found = []
    for number in range(CALLS + CALLS // 5):
        begun = time.perf_counter()
        await call(number)
        if number >= CALLS // 5:
            found.append((time.perf_counter() - begun) * 1000)
    return found


@asynccontextmanager
async def _world() -> AsyncIterator[World]:
    server, town = PostgresServer(), size()
    try:
        await server.start()
        databases = Databases(server)
        with tempfile.TemporaryDirectory(prefix="reelmesh-bench-") as folder:
            identity = TestIdentity(Path(folder))
            async with databases.clone(await databases.template({"social": MIGRATIONS})) as url:
                connection = await asyncpg.connect(driver_url(url))
                await build(connection, town)
                async with _served(url, identity) as (database, social, address):
                    yield World(database, social, address, identity, connection, town)
                await connection.close()
    finally:
        server.stop()


@asynccontextmanager
async def _served(url: str, identity: TestIdentity) -> AsyncIterator[tuple[Database, Social, str]]:
    async with Database(url, "social") as database, serve(identity=identity) as nobody:
        nowhere = nobody.channel("business")  # Feeds call no other service.
        social = assemble(database, Ambient(), SocialSettings(), platform=nowhere, business=nowhere)
        async with serve(*social.servicers.services(), identity=identity) as mesh:
            yield database, social, mesh.address
