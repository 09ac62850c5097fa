"""Facts that must always hold of the social schema, as queries that return offenders."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Gauge
from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import aliased

from business_svc.social.config import SocialSettings
from business_svc.social.counting_store import POST, comment_count, like_count
from business_svc.social.moderation import CaseState, SubjectKind
from business_svc.social.post import State
from business_svc.social.profile import ProfileState
from business_svc.social.reaction_tables import CaseRow, CommentRow, DeliveryRow, TouchedRow
from business_svc.social.tables import (
    BlockRow,
    FollowRow,
    HandleRow,
    LineageRow,
    PostRow,
    ProfileRow,
)
from meshkit.clock import Ambient
from meshkit.invariants import InvariantCheck

OFFENDERS_MAX: Final = 100
# Counts of older posts are made anew whenever they are touched; only these are compared.
COUNTED_FOR: Final = timedelta(days=7)
DELIVERED_WITHIN: Final = timedelta(minutes=10)

OFFENDERS = Gauge("reelmesh_social_offenders", "Rows that break an invariant", ["invariant"])

PARENT = aliased(PostRow)


def facts(now: datetime) -> dict[str, Select[uuid.UUID]]:
    """Return each fact with the query of the ids that break it."""
    return {
        "a post's counts are those of the facts": _miscounted(now),
        "a remix is one deeper than the deepest that it is made of": _wrong_depth(),
        "nobody follows whom they block, or who blocks them": _follow_in_spite_of_block(),
        "what was taken down is hidden": _taken_down_and_shown(),
        "of a deleted profile nothing is left to see": _left_of_hidden_profiles(),
        "a profile's handle is its own": select(ProfileRow.user_id)
        .outerjoin(HandleRow, HandleRow.handle == ProfileRow.handle)
        .where(HandleRow.user_id.is_distinct_from(ProfileRow.user_id)),
        "a post reaches its followers in time": select(DeliveryRow.post_id).where(
            DeliveryRow.created_at < now - DELIVERED_WITHIN
        ),
    }


async def offenders(session: AsyncSession, *, now: datetime) -> dict[str, list[str]]:
    """Return up to 100 ids for each fact that does not hold."""
    found = {}
    for fact, query in facts(now).items():
        ids = list(await session.scalars(query.limit(OFFENDERS_MAX)))
        if ids:
            found[fact] = [str(one) for one in ids]
    return found


def invariant_check(
    sessions: async_sessionmaker[AsyncSession], ambient: Ambient, settings: SocialSettings
) -> InvariantCheck:
    """Give what looks for offenders at each interval."""

    async def look() -> Mapping[str, Sequence[str]]:
        async with sessions() as session:
            return await offenders(session, now=ambient.now())

    names = list(facts(ambient.now()))
    return InvariantCheck("social-invariants", OFFENDERS, names, look, settings.check_interval)


def _miscounted(now: datetime) -> Select[uuid.UUID]:
    touched = exists().where(TouchedRow.kind == POST, TouchedRow.subject_id == PostRow.id)
    return select(PostRow.id).where(
        PostRow.created_at > now - COUNTED_FOR,
        or_(PostRow.like_count != like_count(), PostRow.comment_count != comment_count()),
        ~touched,
    )


def _wrong_depth() -> Select[uuid.UUID]:
    deepest = (
        select(func.coalesce(func.max(PARENT.remix_depth) + 1, 0))
        .select_from(LineageRow)
        .join(PARENT, PARENT.id == LineageRow.parent_id)
        .where(LineageRow.child_id == PostRow.id)
        .scalar_subquery()
    )
    return select(PostRow.id).where(PostRow.remix_depth != deepest)


def _follow_in_spite_of_block() -> Select[uuid.UUID]:
    forth = and_(
        BlockRow.blocker_id == FollowRow.follower_id, BlockRow.blocked_id == FollowRow.followee_id
    )
    back = and_(
        BlockRow.blocker_id == FollowRow.followee_id, BlockRow.blocked_id == FollowRow.follower_id
    )
    return select(FollowRow.follower_id).where(or_(exists().where(forth), exists().where(back)))


def _taken_down_and_shown() -> Select[uuid.UUID]:
    post = exists().where(
        CaseRow.subject_kind == SubjectKind.POST,
        PostRow.id == CaseRow.subject_id,
        PostRow.state == State.PUBLISHED,
    )
    comment = exists().where(
        CaseRow.subject_kind == SubjectKind.COMMENT,
        CommentRow.id == CaseRow.subject_id,
        CommentRow.state == State.PUBLISHED,
    )
    profile = exists().where(
        CaseRow.subject_kind == SubjectKind.PROFILE,
        ProfileRow.user_id == CaseRow.subject_id,
        ProfileRow.state == ProfileState.ACTIVE,
    )
    return select(CaseRow.id).where(
        CaseRow.state == CaseState.TAKEN_DOWN, or_(post, comment, profile)
    )


def _left_of_hidden_profiles() -> Select[uuid.UUID]:
    posts = exists().where(PostRow.author_id == ProfileRow.user_id, PostRow.state != State.DELETED)
    comments = exists().where(
        CommentRow.author_id == ProfileRow.user_id, CommentRow.state != State.DELETED
    )
    follows = exists().where(FollowRow.follower_id == ProfileRow.user_id)
    return select(ProfileRow.user_id).where(
        ProfileRow.state == ProfileState.DELETED, or_(posts, comments, follows)
    )
