"""Tables of reactions, feeds and moderation in the social schema."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from business_svc.social.tables import PUBLISHED, Base, PostRow, ProfileRow


class LikeRow(Base):
    """That a user likes a post: the truth behind every count of likes."""

    __tablename__ = "post_like"
    __table_args__ = (Index("ix_post_like_user_id", "user_id"),)

    post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(PostRow.id), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ProfileRow.user_id), primary_key=True)
    created_at: Mapped[datetime]


class CommentRow(Base):
    """A comment; ids sort by time."""

    __tablename__ = "comment"
    __table_args__ = (
        CheckConstraint("state IN ('published', 'taken_down', 'deleted')", "state_known"),
        Index("ix_comment_post_id", "post_id", "id", postgresql_where=PUBLISHED),
        Index("ix_comment_author_id", "author_id", "created_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(PostRow.id))
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ProfileRow.user_id))
    text: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[datetime]


class HomeRow(Base):
    """That a post was delivered into a user's home feed; what may be seen is judged at reads."""

    __tablename__ = "home_entry"

    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    post_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    author_id: Mapped[uuid.UUID]


class DeliveryRow(Base):
    """A post on its way to followers, and the last follower that it has reached."""

    __tablename__ = "delivery"
    __table_args__ = (Index("ix_delivery_created_at", "created_at", "post_id"),)

    post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(PostRow.id), primary_key=True)
    author_id: Mapped[uuid.UUID]
    reached_since: Mapped[datetime | None]
    reached_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime]


class TouchedRow(Base):
    """Something whose counts are to be made anew; appended, so that nobody waits for another."""

    __tablename__ = "touched"

    position: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    subject_id: Mapped[uuid.UUID]


class RankingRow(Base):
    """One numbered ranking of explore."""

    __tablename__ = "ranking"

    number: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    made_at: Mapped[datetime]


class RankedPostRow(Base):
    """A post's place in a ranking; never changed."""

    __tablename__ = "ranked_post"

    number: Mapped[int] = mapped_column(
        ForeignKey(RankingRow.number, ondelete="CASCADE"), primary_key=True
    )
    rank: Mapped[int] = mapped_column(Integer, primary_key=True)
    post_id: Mapped[uuid.UUID]


class CaseRow(Base):
    """All reports about one subject, and how it stands."""

    __tablename__ = "moderation_case"
    __table_args__ = (
        UniqueConstraint("subject_kind", "subject_id"),
        CheckConstraint("subject_kind IN ('post', 'comment', 'profile')", "subject_kind_known"),
        CheckConstraint("state IN ('open', 'dismissed', 'taken_down', 'restored')", "state_known"),
        Index("ix_moderation_case_queue", "state", "urgency", "opened_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    subject_kind: Mapped[str]
    subject_id: Mapped[uuid.UUID]
    owner_id: Mapped[uuid.UUID]
    state: Mapped[str]
    urgency: Mapped[int] = mapped_column(Integer)  # The severity, negative: queues ascend.
    report_count: Mapped[int] = mapped_column(Integer)
    opened_at: Mapped[datetime]


class ReportRow(Base):
    """What one user said against a subject, once."""

    __tablename__ = "report"
    __table_args__ = (
        UniqueConstraint("reporter_id", "subject_kind", "subject_id"),
        Index("ix_report_reporter_id", "reporter_id", "created_at", "id"),
        Index("ix_report_case_id", "case_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(CaseRow.id))
    reporter_id: Mapped[uuid.UUID]
    subject_kind: Mapped[str]
    subject_id: Mapped[uuid.UUID]
    reason: Mapped[str]
    note: Mapped[str]
    created_at: Mapped[datetime]


class CaseEventRow(Base):
    """What happened in a case; appended only."""

    __tablename__ = "case_event"
    __table_args__ = (Index("ix_case_event_case_id", "case_id", "id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(CaseRow.id))
    kind: Mapped[str]
    operator_id: Mapped[uuid.UUID | None]
    note: Mapped[str]
    created_at: Mapped[datetime]
