"""Who may see what, as conditions of queries: judged at every read, so that changes act at once."""

from __future__ import annotations

import uuid

from sqlalchemy import ColumnElement, and_, exists, or_
from sqlalchemy.orm import InstrumentedAttribute, aliased

from business_svc.social.post import State, Visibility
from business_svc.social.profile import ProfileState
from business_svc.social.reaction_tables import CommentRow
from business_svc.social.tables import BlockRow, FollowRow, PostRow, ProfileRow

# Names of their own, so that a query that reads these tables as well is not mixed up with them.
FOLLOWED = aliased(FollowRow, name="followed")
BLOCKING = aliased(BlockRow, name="blocking")


def visible_posts(viewer: uuid.UUID | None) -> ColumnElement[bool]:
    """Return the condition of the posts that somebody may see; needs their authors' profiles."""
    public = PostRow.visibility == Visibility.PUBLIC
    seen = [PostRow.state == State.PUBLISHED, ProfileRow.state == ProfileState.ACTIVE]
    if viewer is None:
        return and_(*seen, public)
    own = PostRow.author_id == viewer
    return and_(
        *seen,
        or_(public, own, is_followed(viewer, PostRow.author_id)),
        not_blocked(viewer, PostRow.author_id),
    )


def visible_comments(viewer: uuid.UUID | None) -> ColumnElement[bool]:
    """Return the condition of the comments that somebody who sees the post may see."""
    seen = and_(CommentRow.state == State.PUBLISHED, ProfileRow.state == ProfileState.ACTIVE)
    return seen if viewer is None else and_(seen, not_blocked(viewer, CommentRow.author_id))


def is_followed(viewer: uuid.UUID, author: InstrumentedAttribute[uuid.UUID]) -> ColumnElement[bool]:
    """Return the condition that the viewer follows the author."""
    return exists().where(FOLLOWED.follower_id == viewer, FOLLOWED.followee_id == author)


def not_blocked(viewer: uuid.UUID, other: InstrumentedAttribute[uuid.UUID]) -> ColumnElement[bool]:
    """Return the condition that neither of the two blocks the other."""
    # Two look-ups by primary key: one condition with OR would read every block of either.
    by_viewer = exists().where(BLOCKING.blocker_id == viewer, BLOCKING.blocked_id == other)
    by_other = exists().where(BLOCKING.blocker_id == other, BLOCKING.blocked_id == viewer)
    return and_(~by_viewer, ~by_other)
