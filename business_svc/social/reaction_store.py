"""SQL of likes and comments."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.social.post import Comment, State
from business_svc.social.profile import Author
from business_svc.social.reaction_tables import CommentRow, LikeRow
from business_svc.social.rules import visible_comments
from business_svc.social.tables import ProfileRow


@dataclass(frozen=True, slots=True)
class ReactionStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def like(self, post_id: uuid.UUID, user_id: uuid.UUID, *, now: datetime) -> bool:
        """Keep that a user likes a post; False if so already."""
        added = await self.session.scalar(
            insert(LikeRow)
            .values(post_id=post_id, user_id=user_id, created_at=now)
            .on_conflict_do_nothing()
            .returning(LikeRow.post_id)
        )
        return added is not None

    async def unlike(self, post_id: uuid.UUID, user_id: uuid.UUID) -> bool:
        """Forget that a user likes a post; False if they did not."""
        removed = await self.session.scalar(
            delete(LikeRow)
            .where(LikeRow.post_id == post_id, LikeRow.user_id == user_id)
            .returning(LikeRow.post_id)
        )
        return removed is not None

    async def add_comment(self, comment: Comment) -> None:
        """Keep a new comment."""
        self.session.add(
            CommentRow(
                id=comment.id,
                post_id=comment.post_id,
                author_id=comment.author.user_id,
                text=comment.text,
                state=State.PUBLISHED,
                created_at=comment.created_at,
            )
        )

    async def commented_since(self, author_id: uuid.UUID, since: datetime) -> int:
        """Return how often a user has commented since then."""
        query = select(func.count()).where(
            CommentRow.author_id == author_id, CommentRow.created_at > since
        )
        return await self.session.scalar(query) or 0

    async def comment(
        self, post_id: uuid.UUID, comment_id: uuid.UUID
    ) -> tuple[uuid.UUID, State] | None:
        """Return who wrote a post's comment, and its state; it is held until the end."""
        query = select(CommentRow.author_id, CommentRow.state).where(
            CommentRow.id == comment_id, CommentRow.post_id == post_id
        )
        row = (await self.session.execute(query.with_for_update())).first()
        return None if row is None else (row.author_id, State(row.state))

    async def comments(
        self,
        post_id: uuid.UUID,
        viewer: uuid.UUID | None,
        *,
        after: uuid.UUID | None,
        count: int,
    ) -> Sequence[Comment]:
        """Return a post's comments, oldest first."""
        query = (
            select(CommentRow, ProfileRow.handle, ProfileRow.display_name)
            .join(ProfileRow, ProfileRow.user_id == CommentRow.author_id)
            .where(CommentRow.post_id == post_id, visible_comments(viewer))
            .order_by(CommentRow.id)
            .limit(count)
        )
        if after is not None:
            query = query.where(CommentRow.id > after)
        return [
            Comment(
                row.id, row.post_id, Author(row.author_id, handle, name), row.text, row.created_at
            )
            for row, handle, name in await self.session.execute(query)
        ]

    async def set_comment_state(self, comment_id: uuid.UUID, state: State) -> uuid.UUID | None:
        """Change a comment; a deleted one loses its text. Return its post if it changed."""
        emptied = {"text": ""} if state is State.DELETED else {}
        post_id: uuid.UUID | None = await self.session.scalar(
            update(CommentRow)
            .where(CommentRow.id == comment_id, CommentRow.state.not_in([State.DELETED, state]))
            .values(state=state, **emptied)
            .returning(CommentRow.post_id)
        )
        return post_id

    async def forget_post(self, post_id: uuid.UUID) -> None:
        """Delete a post's likes and empty its comments."""
        await self.session.execute(delete(LikeRow).where(LikeRow.post_id == post_id))
        await self.session.execute(
            update(CommentRow)
            .where(CommentRow.post_id == post_id)
            .values(state=State.DELETED, text="")
        )

    async def forget_user(self, user_id: uuid.UUID) -> Sequence[uuid.UUID]:
        """Delete a user's likes and empty their comments; return the posts concerned."""
        liked = await self.session.scalars(
            delete(LikeRow).where(LikeRow.user_id == user_id).returning(LikeRow.post_id)
        )
        commented = await self.session.scalars(
            update(CommentRow)
            .where(CommentRow.author_id == user_id, CommentRow.state != State.DELETED)
            .values(state=State.DELETED, text="")
            .returning(CommentRow.post_id)
        )
        return list({*liked, *commented})
