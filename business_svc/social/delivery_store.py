"""SQL of deliveries: the next followers of a post's author get it into their home feeds."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Uuid, bindparam, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.social.home_store import ACTIVE_FOR
from business_svc.social.post import State
from business_svc.social.reaction_tables import DeliveryRow, HomeRow
from business_svc.social.tables import FollowRow, PostRow, ProfileRow

CHUNK_MAX: Final = 1_000


class _Follower(NamedTuple):
    user_id: uuid.UUID
    since: datetime
    home_seen_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def deliver_chunk(self, *, now: datetime) -> bool:
        """Deliver the oldest waiting post to up to 1,000 followers; False if none waits.

        How far it has come is kept in the same transaction, so a crash repeats nothing. Several
        workers take different posts.
        """
        row = await self.session.scalar(
            select(DeliveryRow)
            .order_by(DeliveryRow.created_at, DeliveryRow.post_id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return False
        state = await self.session.scalar(select(PostRow.state).where(PostRow.id == row.post_id))
        followers = [] if state == State.DELETED else await self._next_followers(row)
        active = [one.user_id for one in followers if one.home_seen_at > now - ACTIVE_FOR]
        await self._write(row, active)
        if len(followers) < CHUNK_MAX:
            await self.session.delete(row)
        else:
            row.reached_id, row.reached_since = followers[-1].user_id, followers[-1].since
        return True

    async def _next_followers(self, row: DeliveryRow) -> Sequence[_Follower]:
        query = (
            select(FollowRow.follower_id, FollowRow.since, ProfileRow.home_seen_at)
            .join(ProfileRow, ProfileRow.user_id == FollowRow.follower_id)
            .where(FollowRow.followee_id == row.author_id)
            .order_by(FollowRow.since, FollowRow.follower_id)
            .limit(CHUNK_MAX)
        )
        if row.reached_id is not None:
            place = tuple_(FollowRow.since, FollowRow.follower_id)
            query = query.where(place > tuple_(row.reached_since, row.reached_id))
        return [_Follower(*one) for one in await self.session.execute(query)]

    async def _write(self, row: DeliveryRow, users: Sequence[uuid.UUID]) -> None:
        if not users:
            return
        user = func.unnest(bindparam("users", users, ARRAY(Uuid())))
        entries = select(user, literal(row.post_id, Uuid()), literal(row.author_id, Uuid()))
        await self.session.execute(
            insert(HomeRow)
            .from_select(["user_id", "post_id", "author_id"], entries)
            .on_conflict_do_nothing()
        )
