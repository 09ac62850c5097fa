"""SQL of home feeds: what was delivered, what is pulled, and the merge of both."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    bindparam,
    delete,
    literal,
    select,
    true,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.sql import func

from business_svc.social.post import State
from business_svc.social.reaction_tables import HomeRow
from business_svc.social.rules import is_followed, visible_posts
from business_svc.social.tables import FollowRow, PostRow, ProfileRow

ENTRIES_MAX: Final = 800
# Into the feeds of those who do not look, nothing is delivered; theirs are made when they return.
ACTIVE_FOR: Final = timedelta(days=30)
# A new follower finds this many posts, and one who returns this many of each author.
BACKFILL_MAX: Final = 50
RETURN_MAX: Final = 20

FOLLOWEE = aliased(ProfileRow)


@dataclass(frozen=True, slots=True)
class HomeStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def page(
        self, user_id: uuid.UUID, *, after: uuid.UUID | None, count: int
    ) -> Sequence[uuid.UUID]:
        """Return posts of those whom a user follows and that they may see, newest first."""
        delivered = (
            select(HomeRow.post_id.label("id"))
            .join(PostRow, PostRow.id == HomeRow.post_id)
            .join(ProfileRow, ProfileRow.user_id == PostRow.author_id)
            .where(
                HomeRow.user_id == user_id,
                is_followed(user_id, HomeRow.author_id),
                visible_posts(user_id),
            )
            .order_by(HomeRow.post_id.desc())
            .limit(count)
        )
        pulled = (
            select(PostRow.id)
            .join(ProfileRow, ProfileRow.user_id == PostRow.author_id)
            .where(PostRow.author_id == FOLLOWEE.user_id, PostRow.is_pulled, visible_posts(user_id))
            .order_by(PostRow.id.desc())
            .limit(count)
            .correlate(FOLLOWEE)
        )
        if after is not None:
            delivered = delivered.where(HomeRow.post_id < after)
            pulled = pulled.where(PostRow.id < after)
        newest = pulled.lateral("newest")
        of_large_authors = (
            select(newest.c.id)
            .select_from(FollowRow)
            .join(FOLLOWEE, FOLLOWEE.user_id == FollowRow.followee_id)
            .join(newest, true())
            .where(FollowRow.follower_id == user_id, FOLLOWEE.is_pulled)
        )
        both = union(select(delivered.subquery().c.id), of_large_authors).subquery()
        query = select(both.c.id).order_by(both.c.id.desc()).limit(count)
        return list(await self.session.scalars(query))

    async def seen_at(self, user_id: uuid.UUID) -> datetime | None:
        """Return when a user last looked, to a day; None without a profile."""
        query = select(ProfileRow.home_seen_at).where(ProfileRow.user_id == user_id)
        found: datetime | None = await self.session.scalar(query)
        return found

    async def mark_seen(self, user_id: uuid.UUID, *, now: datetime) -> None:
        """Keep that a user looked, so that posts are delivered to them."""
        await self.session.execute(
            update(ProfileRow).where(ProfileRow.user_id == user_id).values(home_seen_at=now)
        )

    async def backfill(self, user_id: uuid.UUID, author_id: uuid.UUID) -> None:
        """Deliver the newest posts of one author to one follower; may be repeated."""
        newest = (
            select(literal(user_id, Uuid()), PostRow.id, PostRow.author_id)
            .where(_delivered(author_id))
            .order_by(PostRow.id.desc())
            .limit(BACKFILL_MAX)
        )
        await self._deliver(newest)

    async def rebuild(self, user_id: uuid.UUID) -> None:
        """Deliver what a user has missed from all whom they follow; may be repeated."""
        of_author = (
            select(PostRow.id)
            .where(
                PostRow.author_id == FollowRow.followee_id,
                PostRow.state == State.PUBLISHED,
                ~PostRow.is_pulled,
            )
            .order_by(PostRow.id.desc())
            .limit(RETURN_MAX)
            .correlate(FollowRow)
            .lateral("of_author")
        )
        newest = (
            select(FollowRow.follower_id, of_author.c.id, FollowRow.followee_id)
            .join(of_author, true())
            .where(FollowRow.follower_id == user_id)
            .order_by(of_author.c.id.desc())
            .limit(ENTRIES_MAX)
        )
        await self._deliver(newest)

    async def remove_author(self, user_id: uuid.UUID, author_id: uuid.UUID) -> None:
        """Take an author's posts out of a user's feed."""
        await self.session.execute(
            delete(HomeRow).where(HomeRow.user_id == user_id, HomeRow.author_id == author_id)
        )

    async def forget_user(self, user_id: uuid.UUID) -> None:
        """Delete a user's feed."""
        await self.session.execute(delete(HomeRow).where(HomeRow.user_id == user_id))

    async def trim(self, after: uuid.UUID | None, *, count: int) -> uuid.UUID | None:
        """Cut the feeds of the next users to 800 posts; return the last user, None at the end."""
        users = select(ProfileRow.user_id).order_by(ProfileRow.user_id).limit(count)
        if after is not None:
            users = users.where(ProfileRow.user_id > after)
        ids = list(await self.session.scalars(users))
        if not ids:
            return None
        entry = aliased(HomeRow)
        user = func.unnest(bindparam("ids", ids, ARRAY(Uuid()))).column_valued("one_user")
        cut = (
            select(entry.post_id)
            .where(entry.user_id == user)
            .order_by(entry.post_id.desc())
            .offset(ENTRIES_MAX)
            .limit(1)
            .lateral("cut")
        )
        over = select(user.label("user_id"), cut.c.post_id).join(cut, true()).subquery()
        await self.session.execute(
            delete(HomeRow)
            .where(HomeRow.user_id == over.c.user_id, HomeRow.post_id <= over.c.post_id)
            .execution_options(synchronize_session=False)
        )
        return ids[-1]

    async def _deliver(self, rows: Select[uuid.UUID, uuid.UUID, uuid.UUID]) -> None:
        await self.session.execute(
            insert(HomeRow)
            .from_select(["user_id", "post_id", "author_id"], rows)
            .on_conflict_do_nothing()
        )


def _delivered(author_id: uuid.UUID) -> ColumnElement[bool]:
    return (
        (PostRow.author_id == author_id) & (PostRow.state == State.PUBLISHED) & ~PostRow.is_pulled
    )
