"""Write use cases of likes and comments: each method is one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.announcements import Announcements
from business_svc.social.counting_store import POST, CountingStore
from business_svc.social.errors import CommentNotFound, PostNotFound, TooManyComments
from business_svc.social.post import COMMENTS_PER_HOUR_MAX, HOUR, Comment, Post, State
from business_svc.social.post_store import PostStore
from business_svc.social.profile_store import ProfileStore
from business_svc.social.reaction_store import ReactionStore
from business_svc.social.view_store import ViewStore
from meshkit.clock import Ambient
from meshkit.idempotency import Call

R = TypeVar("R", bound=Message)


@dataclass(frozen=True, slots=True)
class ReactionCommands:
    """What a user may do to posts that they see."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def like(self, user_id: uuid.UUID, post_id: uuid.UUID) -> None:
        """Like a post; may be repeated.

        Raises:
            PostNotFound: the user may not see such a post.
            ProfileMissing: the user has no profile.
            ProfileSuspended: it is suspended.
        """
        async with self.sessions.begin() as session:
            post = await self._seen(session, user_id, post_id)
            if await ReactionStore(session).like(post_id, user_id, now=self.ambient.now()):
                await CountingStore(session).touch(POST, [post_id])
                await Announcements(session, self.ambient).liked(post, user_id)

    async def unlike(self, user_id: uuid.UUID, post_id: uuid.UUID) -> None:
        """Take a like back; may be repeated. Raises as `like` does."""
        async with self.sessions.begin() as session:
            await self._seen(session, user_id, post_id)
            if await ReactionStore(session).unlike(post_id, user_id):
                await CountingStore(session).touch(POST, [post_id])

    async def comment(
        self,
        user_id: uuid.UUID,
        post_id: uuid.UUID,
        text: str,
        call: Call[R],
        respond: Callable[[Comment], R],
    ) -> R:
        """Say something about a post; a repeated key gives the first answer.

        Raises:
            PostNotFound: the user may not see such a post.
            ProfileMissing: the user has no profile.
            ProfileSuspended: it is suspended.
            TooManyComments: the user has commented as often as one may in an hour.
        """
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            author = await ProfileStore(session).acting(user_id, lock=True)
            post = await self._seen(session, user_id, post_id)
            store = ReactionStore(session)
            if await store.commented_since(user_id, now - HOUR) >= COMMENTS_PER_HOUR_MAX:
                raise TooManyComments
            comment = Comment(self.ambient.new_id(), post_id, author.author, text, now)
            await store.add_comment(comment)
            await CountingStore(session).touch(POST, [post_id])
            await Announcements(session, self.ambient).commented(post, comment.id, user_id)
            return await call.answer(session, respond(comment))

    async def delete_comment(
        self, user_id: uuid.UUID, post_id: uuid.UUID, comment_id: uuid.UUID
    ) -> None:
        """Take a comment away, as its author or the post's; may be repeated.

        Raises:
            CommentNotFound: there is no such comment, or it is not the user's to delete.
        """
        async with self.sessions.begin() as session:
            store = ReactionStore(session)
            found = await store.comment(post_id, comment_id)
            post = await PostStore(session).find(post_id)
            if found is None or post is None or user_id not in {found[0], post.author_id}:
                raise CommentNotFound(comment_id)
            if await store.set_comment_state(comment_id, State.DELETED) is not None:
                await CountingStore(session).touch(POST, [post_id])

    async def _seen(self, session: AsyncSession, user_id: uuid.UUID, post_id: uuid.UUID) -> Post:
        await ProfileStore(session).acting(user_id)
        view = await ViewStore(session, user_id).find(post_id)
        if view is None:
            raise PostNotFound(post_id)
        return view.post
