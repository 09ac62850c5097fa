"""Read use cases of posts: what a viewer sees, who is None without a token."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.assets import AssetMissing, Assets, Shown
from business_svc.social.errors import PictureGone, PostNotFound
from business_svc.social.keysets import Asked, Page, id_token
from business_svc.social.post import Ancestor, Comment, PostView
from business_svc.social.profile_queries import Viewer, seen_profile
from business_svc.social.reaction_store import ReactionStore
from business_svc.social.view_store import ViewStore


@dataclass(frozen=True, slots=True)
class PostQueries:
    """What may be asked about posts; all raise `PostNotFound` for one that is not to be seen."""

    sessions: async_sessionmaker[AsyncSession]
    assets: Assets

    async def find(self, post_id: uuid.UUID, viewer: Viewer) -> PostView:
        """Return a post."""
        async with self.sessions() as session:
            return await _seen(session, post_id, viewer)

    async def picture(self, post_id: uuid.UUID, viewer: Viewer) -> Shown:
        """Return an address of a post's picture that is good for a minute.

        Raises:
            PostNotFound: the viewer may not see such a post.
            PictureGone: its asset was deleted.
        """
        post = (await self.find(post_id, viewer)).post
        try:
            return await self.assets.show(post.organization_id, post.media.reference.id)
        except AssetMissing:
            raise PictureGone(post_id) from None

    async def of_profile(self, handle: str, viewer: Viewer, asked: Asked) -> Page[PostView]:
        """Return a profile's posts, newest first.

        Raises:
            ProfileNotFound: there is no such profile, or it blocks the viewer.
        """
        async with self.sessions() as session:
            author = await seen_profile(session, handle, viewer)
            after = asked.after_id("posts")
            views = await ViewStore(session, viewer).of_author(
                author.user_id, after=after, count=asked.count + 1
            )
        return view_page("posts", asked, views)

    async def remixes(self, post_id: uuid.UUID, viewer: Viewer, asked: Asked) -> Page[PostView]:
        """Return what was made of a post, newest first."""
        async with self.sessions() as session:
            await _seen(session, post_id, viewer)
            after = asked.after_id("remixes")
            views = await ViewStore(session, viewer).remixes_of(
                post_id, after=after, count=asked.count + 1
            )
        return view_page("remixes", asked, views)

    async def lineage(self, post_id: uuid.UUID, viewer: Viewer) -> Sequence[Ancestor]:
        """Return what a post was made of, nearest first."""
        async with self.sessions() as session:
            await _seen(session, post_id, viewer)
            return await ViewStore(session, viewer).ancestors_of(post_id)

    async def comments(self, post_id: uuid.UUID, viewer: Viewer, asked: Asked) -> Page[Comment]:
        """Return what was said about a post, oldest first."""
        async with self.sessions() as session:
            await _seen(session, post_id, viewer)
            after = asked.after_id("comments")
            comments = await ReactionStore(session).comments(
                post_id, viewer, after=after, count=asked.count + 1
            )
        page = comments[: asked.count]
        more = len(comments) > asked.count
        return Page(page, id_token("comments", page[-1].id) if more else "")


def view_page(listing: str, asked: Asked, views: Sequence[PostView]) -> Page[PostView]:
    """Return a page of posts, of which one more was read than is asked for."""
    page = views[: asked.count]
    more = len(views) > asked.count
    return Page(page, id_token(listing, page[-1].post.id) if more else "")


async def _seen(session: AsyncSession, post_id: uuid.UUID, viewer: Viewer) -> PostView:
    view = await ViewStore(session, viewer).find(post_id)
    if view is None:
        raise PostNotFound(post_id)
    return view
