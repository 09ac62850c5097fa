"""A made-up town of users who follow each other and post, written straight into the tables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import asyncpg

POSTS_VARIABLE: Final = "REELMESH_BENCH_POSTS"
POSTS_DEFAULT: Final = 1_000_000
POSTS_PER_USER: Final = 50
FOLLOWEES: Final = 200
READERS: Final = 1_000
# The ids of users are those of the numbers from 1 on; the star is followed by many.
STAR: Final = 1
STAR_FOLLOWERS_MAX: Final = 10_000
SECONDS: Final = 30 * 24 * 3600

USER: Final = "lpad(to_hex({}), 32, '0')::uuid"
# UUIDv7: milliseconds since 1970, then the version, then random bits.
POST: Final = (
    "(lpad(to_hex(({ms})::bigint), 12, '0') || '7' || substr(md5(g::text), 1, 3) || '8' "
    "|| substr(md5(g::text), 4, 15))::uuid"
)
# Only constants are put into these statements; numbers are parameters.
PROFILES: Final = f"""
INSERT INTO social.profile SELECT {USER.format("g")}, 'user_' || g, 'User ' || g, '', 'active',
    false, 0, 0, 0, now() - interval '60 days', now()
FROM generate_series(1, $1::int) g
"""  # noqa: S608 - constants only
FOLLOWS: Final = f"""
INSERT INTO social.follow
SELECT {USER.format("u")}, {USER.format("f")}, now() - interval '50 days' FROM (
    SELECT DISTINCT u, 2 + floor(random() * ($1::int - 1))::int AS f
    FROM generate_series(1, $1::int) u, generate_series(1, $2::int)) pairs
WHERE u <> f
"""  # noqa: S608 - constants only
STAR_FOLLOWS: Final = f"""
INSERT INTO social.follow SELECT {USER.format("g")}, {USER.format(STAR)}, now()
FROM generate_series(2, 1 + $1::int) g
"""  # noqa: S608 - constants only
AGE: Final = f"(g::float8 / $1::int * {SECONDS})"
POSTS: Final = f"""
INSERT INTO social.post
SELECT {POST.format(ms=f"(extract(epoch FROM now()) - {AGE}) * 1000")},
    {USER.format("2 + floor(random() * ($2::int - 1))::int")}, {USER.format("g")}, 'asset',
    md5(g::text)::uuid, 'image/png', 64, 64, 'post ' || g, '', 'public', true, 'published',
    'text-to-image', NULL, 0, false, 0, 0, 0, -{AGE} / 43200 + log(2 + random() * 50),
    now() - make_interval(secs => {AGE}), NULL
FROM generate_series(1, $1::int) g
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True)
class Size:
    """How large the town is."""

    posts: int
    users: int
    followees: int
    star_followers: int


def size() -> Size:
    """Give the size that REELMESH_BENCH_POSTS asks for: a user has 50 posts and follows 200."""
    posts = int(os.environ.get(POSTS_VARIABLE, POSTS_DEFAULT))
    users = max(posts // POSTS_PER_USER, 100)
    return Size(posts, users, min(FOLLOWEES, users // 2), min(STAR_FOLLOWERS_MAX, users - 1))


async def build(connection: asyncpg.Connection, town: Size) -> None:
    """Fill an empty schema; foreign keys hold by construction and are not checked one by one."""
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("SET work_mem = '256MB'")
    await connection.execute(PROFILES, town.users)
    await connection.execute(FOLLOWS, town.users, town.followees)
    await connection.execute(STAR_FOLLOWS, town.star_followers)
    await connection.execute(POSTS, town.posts, town.users)
    await connection.execute("SET session_replication_role = origin")
    await connection.execute("VACUUM ANALYZE")
