"""Write use cases of following and blocking."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.announcements import Announcements
from business_svc.social.counting_store import PROFILE, CountingStore
from business_svc.social.errors import (
    BlockedByYou,
    OwnProfile,
    ProfileNotFound,
    TooManyFollows,
)
from business_svc.social.home_store import HomeStore
from business_svc.social.profile import FOLLOWS_MAX, Profile
from business_svc.social.profile_queries import seen_profile
from business_svc.social.profile_store import ProfileStore
from business_svc.social.relation_store import RelationStore
from meshkit.clock import Ambient


@dataclass(frozen=True, slots=True)
class RelationCommands:
    """What a user may do to others' profiles; each may be repeated without harm."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def follow(self, user_id: uuid.UUID, handle: str) -> None:
        """Follow a profile.

        Raises:
            ProfileNotFound: there is no such profile, or it blocks the user.
            ProfileMissing: the user has none.
            ProfileSuspended: the user's is suspended.
            OwnProfile: it is the user's own.
            BlockedByYou: the user blocks it.
            TooManyFollows: the user follows as many as one may.
        """
        async with self.sessions.begin() as session:
            relations = RelationStore(session)
            await ProfileStore(session).acting(user_id, lock=True)
            other = await self._other(session, user_id, handle)
            await relations.lock_pair(user_id, other.user_id)
            # Judged anew under the lock: a block may have come first.
            await seen_profile(session, handle, user_id)
            if await relations.blocks(user_id, other.user_id):
                raise BlockedByYou
            if await relations.follow(user_id, other.user_id, now=self.ambient.now()):
                if await relations.count_following(user_id) > FOLLOWS_MAX:
                    raise TooManyFollows
                await CountingStore(session).touch(PROFILE, [user_id, other.user_id])
                await Announcements(session, self.ambient).followed(other.user_id, user_id)
        # After the commit: a post of this moment is then seen here, or delivered to the follower.
        async with self.sessions.begin() as session:
            await HomeStore(session).backfill(user_id, other.user_id)

    async def unfollow(self, user_id: uuid.UUID, handle: str) -> None:
        """Follow a profile no longer.

        Raises:
            ProfileNotFound: there is no such profile, or it blocks the user.
        """
        async with self.sessions.begin() as session:
            other = await seen_profile(session, handle, user_id)
            await self._unfollow(session, user_id, other.user_id)

    async def block(self, user_id: uuid.UUID, handle: str) -> None:
        """Block a profile, which ends following in both directions.

        Raises:
            ProfileNotFound: there is no such profile.
            ProfileMissing: the user has none.
            ProfileSuspended: the user's is suspended.
            OwnProfile: it is the user's own.
        """
        async with self.sessions.begin() as session:
            await ProfileStore(session).acting(user_id)
            other = await self._other(session, user_id, handle)
            relations = RelationStore(session)
            await relations.lock_pair(user_id, other.user_id)
            await relations.block(user_id, other.user_id, now=self.ambient.now())
            await self._unfollow(session, user_id, other.user_id)
            await self._unfollow(session, other.user_id, user_id)

    async def unblock(self, user_id: uuid.UUID, handle: str) -> None:
        """Block a profile no longer.

        Raises:
            ProfileNotFound: there never was such a profile.
        """
        async with self.sessions.begin() as session:
            other = await ProfileStore(session).find_by_handle(handle)
            if other is None:
                raise ProfileNotFound
            # Whether the other one blocks the user, too, makes no difference.
            await RelationStore(session).unblock(user_id, other.user_id)

    async def _other(self, session: AsyncSession, user_id: uuid.UUID, handle: str) -> Profile:
        other = await seen_profile(session, handle, user_id)
        if other.user_id == user_id:
            raise OwnProfile
        return other

    async def _unfollow(
        self, session: AsyncSession, follower: uuid.UUID, followee: uuid.UUID
    ) -> None:
        if await RelationStore(session).unfollow(follower, followee):
            await CountingStore(session).touch(PROFILE, [follower, followee])
            await HomeStore(session).remove_author(follower, followee)
