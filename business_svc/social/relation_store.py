"""SQL of following and blocking."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, delete, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from business_svc.social.profile import Author, ProfileState
from business_svc.social.rules import not_blocked
from business_svc.social.tables import BlockRow, FollowRow, ProfileRow

Place = tuple[datetime, uuid.UUID] | None


class Related(NamedTuple):
    """Somebody in a list of relations, and since when."""

    author: Author
    since: datetime


@dataclass(frozen=True, slots=True)
class RelationStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def follow(self, follower: uuid.UUID, followee: uuid.UUID, *, now: datetime) -> bool:
        """Keep that one follows another; False if so already."""
        added = await self.session.scalar(
            insert(FollowRow)
            .values(follower_id=follower, followee_id=followee, since=now)
            .on_conflict_do_nothing()
            .returning(FollowRow.followee_id)
        )
        return added is not None

    async def unfollow(self, follower: uuid.UUID, followee: uuid.UUID) -> bool:
        """Forget that one follows another; False if they did not."""
        removed = await self.session.scalar(
            delete(FollowRow)
            .where(FollowRow.follower_id == follower, FollowRow.followee_id == followee)
            .returning(FollowRow.followee_id)
        )
        return removed is not None

    async def count_following(self, follower: uuid.UUID) -> int:
        """Return how many a user follows."""
        query = select(func.count()).where(FollowRow.follower_id == follower)
        return await self.session.scalar(query) or 0

    async def follows(self, follower: uuid.UUID, followee: uuid.UUID) -> bool:
        """Return whether one follows another."""
        return await self.session.get(FollowRow, (follower, followee)) is not None

    async def block(self, blocker: uuid.UUID, blocked: uuid.UUID, *, now: datetime) -> None:
        """Keep that one blocks another."""
        row = insert(BlockRow).values(blocker_id=blocker, blocked_id=blocked, since=now)
        await self.session.execute(row.on_conflict_do_nothing())

    async def unblock(self, blocker: uuid.UUID, blocked: uuid.UUID) -> None:
        """Forget that one blocks another."""
        await self.session.execute(
            delete(BlockRow).where(BlockRow.blocker_id == blocker, BlockRow.blocked_id == blocked)
        )

    async def blocks(self, blocker: uuid.UUID, blocked: uuid.UUID) -> bool:
        """Return whether one blocks another."""
        return await self.session.get(BlockRow, (blocker, blocked)) is not None

    async def lock_pair(self, one: uuid.UUID, other: uuid.UUID) -> None:
        """Order what happens between two users, so that none follows whom they just blocked."""
        pair = ":".join(sorted((one.hex, other.hex)))
        await self.session.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(f"social.pair:{pair}", 0)))
        )

    async def followers(
        self, of: uuid.UUID, viewer: uuid.UUID | None, *, after: Place, count: int
    ) -> Sequence[Related]:
        """Return who follows a profile, newest first."""
        query = _listed(FollowRow.follower_id, FollowRow.since, viewer)
        query = query.where(FollowRow.followee_id == of)
        return await self._page(query, FollowRow.since, FollowRow.follower_id, after, count)

    async def following(
        self, of: uuid.UUID, viewer: uuid.UUID | None, *, after: Place, count: int
    ) -> Sequence[Related]:
        """Return whom a profile follows, newest first."""
        query = _listed(FollowRow.followee_id, FollowRow.since, viewer)
        query = query.where(FollowRow.follower_id == of)
        return await self._page(query, FollowRow.since, FollowRow.followee_id, after, count)

    async def blocked(self, by: uuid.UUID, *, after: Place, count: int) -> Sequence[Related]:
        """Return whom a user blocks, newest first."""
        query = _listed(BlockRow.blocked_id, BlockRow.since, None)
        query = query.where(BlockRow.blocker_id == by)
        return await self._page(query, BlockRow.since, BlockRow.blocked_id, after, count)

    async def forget_all(self, user_id: uuid.UUID) -> Sequence[uuid.UUID]:
        """Delete every relation of a user; return those whose counts change by it."""
        gone = await self.session.execute(
            delete(FollowRow)
            .where(or_(FollowRow.follower_id == user_id, FollowRow.followee_id == user_id))
            .returning(FollowRow.follower_id, FollowRow.followee_id)
        )
        await self.session.execute(
            delete(BlockRow).where(
                or_(BlockRow.blocker_id == user_id, BlockRow.blocked_id == user_id)
            )
        )
        return list({one for pair in gone for one in pair} - {user_id})

    async def _page(
        self,
        query: Select[uuid.UUID, str, str, datetime],
        since: InstrumentedAttribute[datetime],
        other: InstrumentedAttribute[uuid.UUID],
        after: Place,
        count: int,
    ) -> Sequence[Related]:
        if after is not None:
            query = query.where(tuple_(since, other) < tuple_(*after))
        rows = await self.session.execute(query.order_by(since.desc(), other.desc()).limit(count))
        return [Related(Author(row[0], row[1], row[2]), row[3]) for row in rows]


def _listed(
    other: InstrumentedAttribute[uuid.UUID],
    since: InstrumentedAttribute[datetime],
    viewer: uuid.UUID | None,
) -> Select[uuid.UUID, str, str, datetime]:
    query = (
        select(ProfileRow.user_id, ProfileRow.handle, ProfileRow.display_name, since)
        .join(ProfileRow, ProfileRow.user_id == other)
        .where(ProfileRow.state == ProfileState.ACTIVE)
    )
    return query if viewer is None else query.where(not_blocked(viewer, ProfileRow.user_id))
