"""The first tables of the social service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from meshkit.migrations import create_idempotency_keys_v1, create_outbox_v1

revision = "2026_11_28_0900"
down_revision = None
SCHEMA = "social"
TIME = sa.DateTime(timezone=True)
TABLES = (
    "profile",
    "handle",
    "follow",
    "block",
    "post",
    "lineage",
    "remix_copy",
    "post_like",
    "comment",
    "home_entry",
    "delivery",
    "touched",
    "ranking",
    "ranked_post",
    "moderation_case",
    "report",
    "case_event",
)


def upgrade() -> None:
    create_idempotency_keys_v1(op, SCHEMA)
    create_outbox_v1(op, SCHEMA)
    _create_people()
    _create_posts()
    _create_lineage()
    _create_reactions()
    _create_feeds()
    _create_moderation()
    _create_case_events()


def downgrade() -> None:
    for table in (*reversed(TABLES), "outbox", "idempotency_keys"):
        op.drop_table(table, schema=SCHEMA)


def _create_people() -> None:
    op.create_table(
        "profile",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("bio", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("is_pulled", sa.Boolean(), nullable=False),
        sa.Column("follower_count", sa.Integer(), nullable=False),
        sa.Column("following_count", sa.Integer(), nullable=False),
        sa.Column("post_count", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("home_seen_at", TIME, nullable=False),
        sa.CheckConstraint(
            "state IN ('active', 'suspended', 'deleted')", name="ck_profile_state_known"
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_profile"),
        sa.UniqueConstraint("handle", name="uq_profile_handle"),
        schema=SCHEMA,
    )
    op.create_table(
        "handle",
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("claimed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("handle", name="pk_handle"),
        schema=SCHEMA,
    )
    op.create_index("ix_handle_user_id", "handle", ["user_id"], schema=SCHEMA)
    op.create_table(
        "follow",
        sa.Column("follower_id", sa.Uuid(), nullable=False),
        sa.Column("followee_id", sa.Uuid(), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.CheckConstraint("follower_id <> followee_id", name="ck_follow_not_oneself"),
        sa.ForeignKeyConstraint(
            ["followee_id"], ["social.profile.user_id"], name="fk_follow_followee_id"
        ),
        sa.ForeignKeyConstraint(
            ["follower_id"], ["social.profile.user_id"], name="fk_follow_follower_id"
        ),
        sa.PrimaryKeyConstraint("follower_id", "followee_id", name="pk_follow"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_follow_followers", "follow", ["followee_id", "since", "follower_id"], schema=SCHEMA
    )
    op.create_index(
        "ix_follow_following", "follow", ["follower_id", "since", "followee_id"], schema=SCHEMA
    )
    op.create_table(
        "block",
        sa.Column("blocker_id", sa.Uuid(), nullable=False),
        sa.Column("blocked_id", sa.Uuid(), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.CheckConstraint("blocker_id <> blocked_id", name="ck_block_not_oneself"),
        sa.ForeignKeyConstraint(
            ["blocked_id"], ["social.profile.user_id"], name="fk_block_blocked_id"
        ),
        sa.ForeignKeyConstraint(
            ["blocker_id"], ["social.profile.user_id"], name="fk_block_blocker_id"
        ),
        sa.PrimaryKeyConstraint("blocker_id", "blocked_id", name="pk_block"),
        schema=SCHEMA,
    )
    op.create_index("ix_block_blocked_id", "block", ["blocked_id"], schema=SCHEMA)
    op.create_index(
        "ix_block_listing", "block", ["blocker_id", "since", "blocked_id"], schema=SCHEMA
    )


def _create_posts() -> None:
    op.create_table(
        "post",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("media_kind", sa.Text(), nullable=False),
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("caption", sa.Text(), nullable=False),
        sa.Column("alt_text", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("allows_remix", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("remix_depth", sa.Integer(), nullable=False),
        sa.Column("is_pulled", sa.Boolean(), nullable=False),
        sa.Column("like_count", sa.Integer(), nullable=False),
        sa.Column("comment_count", sa.Integer(), nullable=False),
        sa.Column("remix_count", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("edited_at", TIME, nullable=True),
        sa.CheckConstraint("media_kind IN ('asset')", name="ck_post_media_kind_known"),
        sa.CheckConstraint(
            "state IN ('published', 'taken_down', 'deleted')", name="ck_post_state_known"
        ),
        sa.CheckConstraint(
            "visibility IN ('public', 'followers')", name="ck_post_visibility_known"
        ),
        sa.ForeignKeyConstraint(
            ["author_id"], ["social.profile.user_id"], name="fk_post_author_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_post"),
        schema=SCHEMA,
    )
    op.create_index("ix_post_author_id", "post", ["author_id", "id"], schema=SCHEMA)
    op.create_index(
        "ix_post_score",
        "post",
        ["score", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'published' AND visibility = 'public'"),
    )
    op.create_index(
        "uq_post_media",
        "post",
        ["media_kind", "media_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state <> 'deleted'"),
    )


def _create_lineage() -> None:
    op.create_table(
        "lineage",
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["child_id"], ["social.post.id"], name="fk_lineage_child_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["social.post.id"], name="fk_lineage_parent_id"),
        sa.PrimaryKeyConstraint("child_id", "parent_id", name="pk_lineage"),
        schema=SCHEMA,
    )
    op.create_index("ix_lineage_parent_id", "lineage", ["parent_id", "child_id"], schema=SCHEMA)
    op.create_table(
        "remix_copy",
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["social.post.id"], name="fk_remix_copy_post_id"),
        sa.PrimaryKeyConstraint("asset_id", name="pk_remix_copy"),
        schema=SCHEMA,
    )
    op.create_index("ix_remix_copy_user_id", "remix_copy", ["user_id", "created_at"], schema=SCHEMA)


def _create_reactions() -> None:
    op.create_table(
        "post_like",
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["social.post.id"], name="fk_post_like_post_id"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["social.profile.user_id"], name="fk_post_like_user_id"
        ),
        sa.PrimaryKeyConstraint("post_id", "user_id", name="pk_post_like"),
        schema=SCHEMA,
    )
    op.create_index("ix_post_like_user_id", "post_like", ["user_id"], schema=SCHEMA)
    op.create_table(
        "comment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint(
            "state IN ('published', 'taken_down', 'deleted')", name="ck_comment_state_known"
        ),
        sa.ForeignKeyConstraint(
            ["author_id"], ["social.profile.user_id"], name="fk_comment_author_id"
        ),
        sa.ForeignKeyConstraint(["post_id"], ["social.post.id"], name="fk_comment_post_id"),
        sa.PrimaryKeyConstraint("id", name="pk_comment"),
        schema=SCHEMA,
    )
    op.create_index("ix_comment_author_id", "comment", ["author_id", "created_at"], schema=SCHEMA)
    op.create_index(
        "ix_comment_post_id",
        "comment",
        ["post_id", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'published'"),
    )


def _create_feeds() -> None:
    op.create_table(
        "home_entry",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "post_id", name="pk_home_entry"),
        schema=SCHEMA,
    )
    op.create_table(
        "delivery",
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("reached_since", TIME, nullable=True),
        sa.Column("reached_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["social.post.id"], name="fk_delivery_post_id"),
        sa.PrimaryKeyConstraint("post_id", name="pk_delivery"),
        schema=SCHEMA,
    )
    op.create_index("ix_delivery_created_at", "delivery", ["created_at", "post_id"], schema=SCHEMA)
    op.create_table(
        "touched",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_touched"),
        schema=SCHEMA,
    )
    op.create_table(
        "ranking",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_ranking"),
        schema=SCHEMA,
    )
    op.create_table(
        "ranked_post",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["number"], ["social.ranking.number"], name="fk_ranked_post_number", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", "rank", name="pk_ranked_post"),
        schema=SCHEMA,
    )


def _create_moderation() -> None:
    op.create_table(
        "moderation_case",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("report_count", sa.Integer(), nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'dismissed', 'taken_down', 'restored')",
            name="ck_moderation_case_state_known",
        ),
        sa.CheckConstraint(
            "subject_kind IN ('post', 'comment', 'profile')",
            name="ck_moderation_case_subject_kind_known",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_moderation_case"),
        sa.UniqueConstraint(
            "subject_kind", "subject_id", name="uq_moderation_case_subject_kind_subject_id"
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_moderation_case_queue",
        "moderation_case",
        ["state", "urgency", "opened_at", "id"],
        schema=SCHEMA,
    )
    op.create_table(
        "report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("reporter_id", sa.Uuid(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["social.moderation_case.id"], name="fk_report_case_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_report"),
        sa.UniqueConstraint(
            "reporter_id",
            "subject_kind",
            "subject_id",
            name="uq_report_reporter_id_subject_kind_subject_id",
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_report_case_id", "report", ["case_id", "id"], schema=SCHEMA)
    op.create_index(
        "ix_report_reporter_id", "report", ["reporter_id", "created_at", "id"], schema=SCHEMA
    )


def _create_case_events() -> None:
    op.create_table(
        "case_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["social.moderation_case.id"], name="fk_case_event_case_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_case_event"),
        schema=SCHEMA,
    )
    op.create_index("ix_case_event_case_id", "case_event", ["case_id", "id"], schema=SCHEMA)
