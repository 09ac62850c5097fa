"""Rows of posts as values, and the query that reads posts as a viewer sees them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, exists, literal, select
from sqlalchemy.engine import Row

from business_svc.social.post import (
    Counts,
    Media,
    MediaKind,
    MediaReference,
    Post,
    PostView,
    State,
    Visibility,
)
from business_svc.social.profile import Author
from business_svc.social.reaction_tables import LikeRow
from business_svc.social.rules import visible_posts
from business_svc.social.tables import PostRow, ProfileRow

ViewQuery = Select[PostRow, str, str, bool]


def select_views(viewer: uuid.UUID | None) -> ViewQuery:
    """Return the query of all posts that somebody may see; the rules are in it."""
    liked: Any = literal(value=False)
    if viewer is not None:
        liked = exists().where(LikeRow.post_id == PostRow.id, LikeRow.user_id == viewer)
    return (
        select(PostRow, ProfileRow.handle, ProfileRow.display_name, liked)
        .join(ProfileRow, ProfileRow.user_id == PostRow.author_id)
        .where(visible_posts(viewer))
    )


def views_of(rows: Iterable[Row[PostRow, str, str, bool]]) -> list[PostView]:
    """Return what `select_views` found."""
    return [
        PostView(post_of(row), Author(row.author_id, handle, name), liked)
        for row, handle, name, liked in rows
    ]


def post_of(row: PostRow) -> Post:
    """Return the value that a row holds."""
    return Post(
        id=row.id,
        author_id=row.author_id,
        organization_id=row.organization_id,
        media=Media(
            MediaReference(MediaKind(row.media_kind), row.media_id),
            row.content_type,
            row.width,
            row.height,
        ),
        caption=row.caption,
        alt_text=row.alt_text,
        visibility=Visibility(row.visibility),
        allows_remix=row.allows_remix,
        state=State(row.state),
        tool=row.tool,
        run_id=row.run_id,
        remix_depth=row.remix_depth,
        created_at=row.created_at,
        edited_at=row.edited_at,
        counts=Counts(row.like_count, row.comment_count, row.remix_count),
    )
