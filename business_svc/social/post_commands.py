"""Write use cases of posts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.announcements import DELETED, Announcements
from business_svc.social.assets import AssetMissing, Assets, Picture
from business_svc.social.counting_store import CountingStore
from business_svc.social.errors import AssetNotFound, PostExists, PostNotFound, TooManyPosts
from business_svc.social.post import (
    HOUR,
    POSTS_PER_HOUR_MAX,
    Draft,
    Lineage,
    Media,
    PostChange,
    PostView,
    State,
)
from business_svc.social.post_store import PostStore, new_post
from business_svc.social.profile_store import ProfileStore
from business_svc.social.reaction_store import ReactionStore
from business_svc.social.tracing import LineageTracer
from business_svc.social.waking import Waker
from meshkit.clock import Ambient
from meshkit.idempotency import Call
from meshkit.ids import format_id
from meshkit.postgres import after_commit

R = TypeVar("R", bound=Message)


@dataclass(frozen=True, slots=True)
class PostCommands:
    """What may be done to one's own posts.

    Posts of authors with `pulled_followers` followers or more are not delivered: home feeds read
    them where they are.
    """

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    assets: Assets
    tracer: LineageTracer
    pulled_followers: int
    waker: Waker = field(default_factory=Waker)

    async def create(self, draft: Draft, call: Call[R], respond: Callable[[PostView], R]) -> R:
        """Publish an asset; a repeated key gives the first answer.

        Raises:
            ProfileMissing: the user has no profile.
            ProfileSuspended: it is suspended.
            AssetNotFound: the organization has no such asset, or it is not ready.
            PostExists: it is posted already, was taken down, or is a copy of another's picture.
            TooManyPosts: the user has posted as often as one may in an hour.
            Unavailable: it cannot be found out now what the picture was made of.
        """
        async with self.sessions() as session:  # Not committed: this only looks.
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            await ProfileStore(session).acting(draft.author_id)
        picture = await self._describe(draft)
        lineage = await self.tracer.trace(draft.organization_id, picture.run_id, self._find_post)
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            view = await self._publish(session, draft, picture, lineage)
            after_commit(session, self.waker.wake)
            return await call.answer(session, respond(view))

    async def change(self, author_id: uuid.UUID, post_id: uuid.UUID, change: PostChange) -> None:
        """Change what the change has of an author's post; may be repeated.

        Raises:
            PostNotFound: it is not the author's, or not published.
        """
        async with self.sessions.begin() as session:
            store = PostStore(session)
            post = await store.lock_own(post_id, author_id)
            if post is None or post.state is not State.PUBLISHED:
                raise PostNotFound(post_id)
            await store.change(post_id, change, now=self.ambient.now())

    async def delete(self, author_id: uuid.UUID, post_id: uuid.UUID) -> None:
        """Take an author's post away for good; may be repeated.

        Raises:
            PostNotFound: it is not the author's.
        """
        async with self.sessions.begin() as session:
            store = PostStore(session)
            post = await store.lock_own(post_id, author_id)
            if post is None:
                raise PostNotFound(post_id)
            if not await store.set_state(post_id, State.DELETED):
                return
            await ReactionStore(session).forget_post(post_id)
            await CountingStore(session).touch_post(post_id, author_id)
            await Announcements(session, self.ambient).removed(post_id, author_id, DELETED)

    async def _publish(
        self, session: AsyncSession, draft: Draft, picture: Picture, lineage: Lineage
    ) -> PostView:
        now = self.ambient.now()
        author = await ProfileStore(session).acting(draft.author_id, lock=True)
        store = PostStore(session)
        oldest = await store.newest_but(author.user_id, POSTS_PER_HOUR_MAX - 1)
        if oldest is not None and oldest > now - HOUR:
            raise TooManyPosts
        post = new_post(
            draft,
            id=self.ambient.new_id(),
            media=Media(draft.reference, picture.content_type, picture.width, picture.height),
            tool=lineage.tool,
            run_id=lineage.run_id,
            remix_depth=await store.depth(lineage.parents.keys()),
            created_at=now,
        )
        is_pulled = author.follower_count >= self.pulled_followers
        is_copy = await store.copied_from(draft.organization_id, draft.reference.id) is not None
        if is_copy or not await store.add(post, is_pulled=is_pulled):
            raise PostExists(format_id("ast", draft.reference.id))
        await store.deliver(post, is_pulled=is_pulled)
        await store.add_parents(post, lineage.parents)
        await CountingStore(session).touch_post(post.id, author.user_id)
        await Announcements(session, self.ambient).published(post, lineage.parents)
        return PostView(post, author.author)

    async def _describe(self, draft: Draft) -> Picture:
        try:
            return await self.assets.describe(draft.organization_id, draft.reference.id)
        except AssetMissing:
            raise AssetNotFound(format_id("ast", draft.reference.id)) from None

    async def _find_post(self, organization_id: uuid.UUID, asset_id: uuid.UUID) -> uuid.UUID | None:
        async with self.sessions() as session:
            return await PostStore(session).source_of(organization_id, asset_id)
