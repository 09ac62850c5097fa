"""Hands out copies of posts' pictures, by whose ids remixes are known later."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.assets import AssetMissing, Assets
from business_svc.social.errors import (
    PictureGone,
    PostNotFound,
    RemixNotAllowed,
    TooManyRemixes,
)
from business_svc.social.post import HOUR, REMIXES_PER_HOUR_MAX, Post
from business_svc.social.post_store import PostStore
from business_svc.social.profile_store import ProfileStore
from business_svc.social.view_store import ViewStore
from meshkit.clock import Ambient
from meshkit.idempotency import Call

R = TypeVar("R", bound=Message)


@dataclass(frozen=True, slots=True)
class Remixer:
    """Who wants a copy, and for which organization."""

    user_id: uuid.UUID
    organization_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class RemixCommands:
    """Makes copies: recorded first and copied then, so that no copy is unknown."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    assets: Assets

    async def remix(
        self,
        remixer: Remixer,
        post_id: uuid.UUID,
        call: Call[R],
        respond: Callable[[uuid.UUID], R],
        copy_of: Callable[[R], uuid.UUID],
    ) -> R:
        """Give the answer that `respond` makes of the copy's id; `copy_of` reads it again.

        Raises:
            PostNotFound: the user may not see such a post.
            ProfileMissing: the user has no profile.
            ProfileSuspended: it is suspended.
            RemixNotAllowed: the author does not want remixes.
            TooManyRemixes: the user has got as many copies as one may in an hour.
            PictureGone: the post's asset was deleted.
            NoRoomForCopy: the remixer's organization stores as much as it may.
        """
        async with self.sessions.begin() as session:
            answer = await call.earlier(session)
            post = await self._remixable(session, remixer.user_id, post_id)
            if answer is None:
                asset_id = await self._record(session, remixer, post)
                answer = await call.answer(session, respond(asset_id))
        # Also for a repeated call: the one before may have ended here.
        source = (post.organization_id, post.media.reference.id)
        try:
            await self.assets.copy(source, (remixer.organization_id, copy_of(answer)))
        except AssetMissing:
            raise PictureGone(post_id) from None
        return answer

    async def _remixable(
        self, session: AsyncSession, user_id: uuid.UUID, post_id: uuid.UUID
    ) -> Post:
        await ProfileStore(session).acting(user_id, lock=True)
        view = await ViewStore(session, user_id).find(post_id)
        if view is None:
            raise PostNotFound(post_id)
        if not view.post.allows_remix and view.post.author_id != user_id:
            raise RemixNotAllowed(post_id)
        return view.post

    async def _record(self, session: AsyncSession, remixer: Remixer, post: Post) -> uuid.UUID:
        now = self.ambient.now()
        store = PostStore(session)
        if await store.copied_since(remixer.user_id, now - HOUR) >= REMIXES_PER_HOUR_MAX:
            raise TooManyRemixes
        asset_id = self.ambient.new_id()
        await store.add_copy(
            post.id,
            asset_id=asset_id,
            organization_id=remixer.organization_id,
            user_id=remixer.user_id,
            now=now,
        )
        return asset_id
