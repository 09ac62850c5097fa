"""Read use cases of profiles and of who follows and blocks whom."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.errors import ProfileNotFound
from business_svc.social.keysets import Asked, Page, moment_token
from business_svc.social.profile import Author, Profile, ProfileState, ProfileView
from business_svc.social.profile_store import ProfileStore
from business_svc.social.relation_store import Place, Related, RelationStore

Viewer = uuid.UUID | None


@dataclass(frozen=True, slots=True)
class ProfileQueries:
    """What may be asked about profiles; a viewer is None without a token."""

    sessions: async_sessionmaker[AsyncSession]

    async def own(self, user_id: uuid.UUID) -> ProfileView:
        """Return a user's own profile, also a suspended one.

        Raises:
            ProfileNotFound: they have none.
        """
        async with self.sessions() as session:
            profile = await ProfileStore(session).find(user_id)
        if profile is None or profile.state is ProfileState.DELETED:
            raise ProfileNotFound
        return ProfileView(profile)

    async def find(self, handle: str, viewer: Viewer) -> ProfileView:
        """Return a profile as somebody sees it.

        Raises:
            ProfileNotFound: there is none, it is not active, or it blocks the viewer.
        """
        async with self.sessions() as session:
            profile = await seen_profile(session, handle, viewer)
            if viewer is None:
                return ProfileView(profile)
            relations = RelationStore(session)
            return ProfileView(
                profile,
                followed=await relations.follows(viewer, profile.user_id),
                blocked=await relations.blocks(viewer, profile.user_id),
            )

    async def followers(self, handle: str, viewer: Viewer, asked: Asked) -> Page[Author]:
        """Return who follows a profile. Raises as `find` does."""
        async with self.sessions() as session:
            profile = await seen_profile(session, handle, viewer)
            relations = RelationStore(session)
            return await _page(
                "followers",
                asked,
                lambda after, count: relations.followers(
                    profile.user_id, viewer, after=after, count=count
                ),
            )

    async def following(self, handle: str, viewer: Viewer, asked: Asked) -> Page[Author]:
        """Return whom a profile follows. Raises as `find` does."""
        async with self.sessions() as session:
            profile = await seen_profile(session, handle, viewer)
            relations = RelationStore(session)
            return await _page(
                "following",
                asked,
                lambda after, count: relations.following(
                    profile.user_id, viewer, after=after, count=count
                ),
            )

    async def blocks(self, user_id: uuid.UUID, asked: Asked) -> Page[Author]:
        """Return whom a user blocks."""
        async with self.sessions() as session:
            relations = RelationStore(session)
            return await _page(
                "blocks",
                asked,
                lambda after, count: relations.blocked(user_id, after=after, count=count),
            )


async def seen_profile(session: AsyncSession, handle: str, viewer: Viewer) -> Profile:
    """Return an active profile that does not block the viewer.

    Raises:
        ProfileNotFound: there is no such one.
    """
    profile = await ProfileStore(session).find_by_handle(handle)
    if profile is None or profile.state is not ProfileState.ACTIVE:
        raise ProfileNotFound
    if viewer is not None and await RelationStore(session).blocks(profile.user_id, viewer):
        raise ProfileNotFound
    return profile


async def _page(
    listing: str, asked: Asked, read: Callable[[Place, int], Awaitable[Sequence[Related]]]
) -> Page[Author]:
    rows = await read(asked.after_moment(listing), asked.count + 1)
    page = rows[: asked.count]
    token = ""
    if len(rows) > asked.count:
        token = moment_token(listing, page[-1].since, page[-1].author.user_id)
    return Page([one.author for one in page], token)
