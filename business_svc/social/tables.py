"""Tables of people and posts in the social schema; only the stores and invariants import them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.idempotency import IdempotencyKeyMixin
from meshkit.outbox import OutboxMixin
from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "social"
PUBLISHED = text("state = 'published'")


class Base(DeclarativeBase):
    """Declarative base of the social schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class IdempotencyKeyRow(IdempotencyKeyMixin, Base):
    """Answered calls by idempotency key."""


class OutboxEvent(OutboxMixin, Base):
    """Events that the bus has not acknowledged."""


class ProfileRow(Base):
    """A user's public face; counts are derived. `home_seen_at` says when the feed was read."""

    __tablename__ = "profile"
    __table_args__ = (
        UniqueConstraint("handle"),
        CheckConstraint("state IN ('active', 'suspended', 'deleted')", "state_known"),
    )

    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    handle: Mapped[str]
    display_name: Mapped[str]
    bio: Mapped[str]
    state: Mapped[str]
    is_pulled: Mapped[bool]
    follower_count: Mapped[int] = mapped_column(Integer)
    following_count: Mapped[int] = mapped_column(Integer)
    post_count: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    home_seen_at: Mapped[datetime]


class HandleRow(Base):
    """A handle that a user has or had; nobody else gets it."""

    __tablename__ = "handle"
    __table_args__ = (Index("ix_handle_user_id", "user_id"),)

    handle: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID]
    claimed_at: Mapped[datetime]


class FollowRow(Base):
    """Who follows whom; the second index is also the order in which posts are delivered."""

    __tablename__ = "follow"
    __table_args__ = (
        CheckConstraint("follower_id <> followee_id", "not_oneself"),
        Index("ix_follow_following", "follower_id", "since", "followee_id"),
        Index("ix_follow_followers", "followee_id", "since", "follower_id"),
    )

    follower_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ProfileRow.user_id), primary_key=True)
    followee_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ProfileRow.user_id), primary_key=True)
    since: Mapped[datetime]


class BlockRow(Base):
    """Who blocks whom."""

    __tablename__ = "block"
    __table_args__ = (
        CheckConstraint("blocker_id <> blocked_id", "not_oneself"),
        Index("ix_block_listing", "blocker_id", "since", "blocked_id"),
        Index("ix_block_blocked_id", "blocked_id"),
    )

    blocker_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ProfileRow.user_id), primary_key=True)
    blocked_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ProfileRow.user_id), primary_key=True)
    since: Mapped[datetime]


class PostRow(Base):
    """A post; ids sort by time. A deleted one stays as a tombstone for its remixes' lineage."""

    __tablename__ = "post"
    __table_args__ = (
        CheckConstraint("state IN ('published', 'taken_down', 'deleted')", "state_known"),
        CheckConstraint("visibility IN ('public', 'followers')", "visibility_known"),
        CheckConstraint("media_kind IN ('asset')", "media_kind_known"),
        Index("ix_post_author_id", "author_id", "id"),
        Index(
            "uq_post_media",
            "media_kind",
            "media_id",
            unique=True,
            postgresql_where=text("state <> 'deleted'"),
        ),
        Index(
            "ix_post_score",
            "score",
            "id",
            postgresql_where=text("state = 'published' AND visibility = 'public'"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ProfileRow.user_id))
    organization_id: Mapped[uuid.UUID]
    media_kind: Mapped[str]
    media_id: Mapped[uuid.UUID]
    content_type: Mapped[str]
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    caption: Mapped[str]
    alt_text: Mapped[str]
    visibility: Mapped[str]
    allows_remix: Mapped[bool]
    state: Mapped[str]
    tool: Mapped[str]
    run_id: Mapped[uuid.UUID | None]
    remix_depth: Mapped[int] = mapped_column(Integer)
    is_pulled: Mapped[bool]
    like_count: Mapped[int] = mapped_column(Integer)
    comment_count: Mapped[int] = mapped_column(Integer)
    remix_count: Mapped[int] = mapped_column(Integer)
    score: Mapped[float] = mapped_column(Float)
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]


class LineageRow(Base):
    """That one post was made of another, by which run; written once with the child."""

    __tablename__ = "lineage"
    __table_args__ = (Index("ix_lineage_parent_id", "parent_id", "child_id"),)

    child_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(PostRow.id), primary_key=True)
    parent_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(PostRow.id), primary_key=True)
    run_id: Mapped[uuid.UUID]


class RemixCopyRow(Base):
    """An asset that was handed out as a copy of a post's picture."""

    __tablename__ = "remix_copy"
    __table_args__ = (Index("ix_remix_copy_user_id", "user_id", "created_at"),)

    asset_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[uuid.UUID]
    post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(PostRow.id))
    user_id: Mapped[uuid.UUID]
    created_at: Mapped[datetime]
