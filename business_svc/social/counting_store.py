"""SQL of counts: what was touched, and what the facts say of it now."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Label,
    ScalarSelect,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from business_svc.social.post import State
from business_svc.social.ranking import hot_score
from business_svc.social.reaction_tables import CommentRow, LikeRow, TouchedRow
from business_svc.social.tables import FollowRow, LineageRow, PostRow, ProfileRow

POST: Final = "post"
PROFILE: Final = "profile"
BATCH_MAX: Final = 500
CHILD: Final = aliased(PostRow)


@dataclass(frozen=True, slots=True)
class CountingStore:
    """Reads and writes inside the caller's transaction; never commits.

    Whoever changes a fact touches its subject in the same transaction. Counts are then made anew
    from the facts and never added up, so that no lost or doubled step is carried on.
    """

    session: AsyncSession

    async def touch(self, kind: str, subjects: Iterable[uuid.UUID]) -> None:
        """Ask for new counts of posts or profiles."""
        rows = [{"kind": kind, "subject_id": subject} for subject in subjects]
        if rows:
            await self.session.execute(insert(TouchedRow), rows)

    async def touch_post(self, post_id: uuid.UUID, author_id: uuid.UUID) -> None:
        """Ask for new counts of all that a post counts for: itself, its parents, its author."""
        await self.touch(POST, [post_id])
        await self.touch(PROFILE, [author_id])
        parents = select(literal(POST), LineageRow.parent_id).where(LineageRow.child_id == post_id)
        await self.session.execute(insert(TouchedRow).from_select(["kind", "subject_id"], parents))

    async def recount(self) -> int:
        """Make new counts of up to 500 touched subjects; return how many touches are gone."""
        due = select(TouchedRow.position).order_by(TouchedRow.position).limit(BATCH_MAX)
        taken = await self.session.execute(
            delete(TouchedRow)
            .where(TouchedRow.position.in_(due.with_for_update(skip_locked=True).scalar_subquery()))
            .returning(TouchedRow.kind, TouchedRow.subject_id)
        )
        rows = taken.all()
        await self._count_posts(sorted({row.subject_id for row in rows if row.kind == POST}))
        await self._count_profiles(sorted({row.subject_id for row in rows if row.kind == PROFILE}))
        return len(rows)

    async def _count_posts(self, posts: Sequence[uuid.UUID]) -> None:
        if not posts:
            return
        # Held before they are counted: of two counts at once the later one sees more.
        held = select(PostRow.id).where(PostRow.id.in_(posts)).order_by(PostRow.id)
        await self.session.execute(held.with_for_update(key_share=True))
        query = select(PostRow.id, PostRow.created_at, *_post_counts()).where(PostRow.id.in_(posts))
        values = [
            {
                "b_id": row.id,
                "like_count": row.likes,
                "comment_count": row.comments,
                "remix_count": row.remixes,
                "score": hot_score(
                    likes=row.likes_of_others,
                    commenters=row.commenters,
                    remixes=row.remixes_of_others,
                    created_at=row.created_at,
                ),
            }
            for row in await self.session.execute(query)
        ]
        if values:
            table = cast("Table", PostRow.__table__)
            change = update(table).where(table.c.id == bindparam("b_id"))
            await (await self.session.connection()).execute(change, values)

    async def _count_profiles(self, profiles: Sequence[uuid.UUID]) -> None:
        if not profiles:
            return
        held = select(ProfileRow.user_id).where(ProfileRow.user_id.in_(profiles))
        held = held.order_by(ProfileRow.user_id).with_for_update(key_share=True)
        await self.session.execute(held)
        own = ProfileRow.user_id
        await self.session.execute(
            update(ProfileRow)
            .where(own.in_(profiles))
            .values(
                follower_count=_count(FollowRow.follower_id, FollowRow.followee_id == own),
                following_count=_count(FollowRow.followee_id, FollowRow.follower_id == own),
                post_count=_count(
                    PostRow.id, and_(PostRow.author_id == own, PostRow.state == State.PUBLISHED)
                ),
            )
        )


def like_count() -> ScalarSelect[int]:
    """Return the number of a post's likes, by the facts."""
    return _count(LikeRow.post_id, LikeRow.post_id == PostRow.id)


def comment_count() -> ScalarSelect[int]:
    """Return the number of a post's comments that are published, by the facts."""
    published = CommentRow.state == State.PUBLISHED
    return _count(CommentRow.id, and_(CommentRow.post_id == PostRow.id, published))


def _post_counts() -> list[Label[int]]:
    others = LikeRow.user_id != PostRow.author_id
    commenters = (
        select(func.count(CommentRow.author_id.distinct()))
        .where(
            CommentRow.post_id == PostRow.id,
            CommentRow.state == State.PUBLISHED,
            CommentRow.author_id != PostRow.author_id,
        )
        .scalar_subquery()
    )
    likes_of_others = _count(LikeRow.post_id, and_(LikeRow.post_id == PostRow.id, others))
    return [
        like_count().label("likes"),
        comment_count().label("comments"),
        _remix_count(true()).label("remixes"),
        likes_of_others.label("likes_of_others"),
        commenters.label("commenters"),
        _remix_count(CHILD.author_id != PostRow.author_id).label("remixes_of_others"),
    ]


def _remix_count(condition: ColumnElement[bool]) -> ScalarSelect[int]:
    return (
        select(func.count(LineageRow.child_id))
        .join(CHILD, CHILD.id == LineageRow.child_id)
        .where(LineageRow.parent_id == PostRow.id, CHILD.state == State.PUBLISHED, condition)
        .scalar_subquery()
    )


def _count(what: InstrumentedAttribute[Any], condition: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count(what)).where(condition).scalar_subquery()
