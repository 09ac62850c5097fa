"""Erases what a user left in public when they are gone."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from reelmesh.platform.identity.v1 import identity_events_pb2 as events
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.announcements import DELETED, Announcements
from business_svc.social.counting_store import POST, PROFILE, CountingStore
from business_svc.social.home_store import HomeStore
from business_svc.social.post import State
from business_svc.social.post_store import PostStore
from business_svc.social.profile import ProfileChange, ProfileState
from business_svc.social.profile_store import ProfileStore
from business_svc.social.reaction_store import ReactionStore
from business_svc.social.relation_store import RelationStore
from meshkit.clock import Ambient
from meshkit.ids import parse_id
from meshkit.inbox import Event

USER_DELETED: Final = "reelmesh.platform.identity.user_deleted"


@dataclass(frozen=True, slots=True)
class Erasure:
    """Deletes a user's profile with all that is theirs, in one transaction.

    Tombstones stay: of posts, since remixes refer to them, and of handles, so that nobody can
    take them over. To erase again changes nothing, so no record of the event is needed.
    """

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def handle(self, event: Event) -> None:
        """Erase the user whom the event names."""
        deleted = event.parse(events.UserDeleted)
        await self.erase(parse_id("usr", deleted.user_id, field="user_id"))

    async def erase(self, user_id: uuid.UUID) -> None:
        """Erase a user."""
        async with self.sessions.begin() as session:
            profiles = ProfileStore(session)
            if await profiles.find(user_id) is None:
                return
            await profiles.change(user_id, ProfileChange(display_name="", bio=""))
            await profiles.set_state(user_id, ProfileState.DELETED)
            await self._erase_posts(session, user_id)
            counting = CountingStore(session)
            await counting.touch(POST, await ReactionStore(session).forget_user(user_id))
            await counting.touch(PROFILE, await RelationStore(session).forget_all(user_id))
            await HomeStore(session).forget_user(user_id)

    async def _erase_posts(self, session: AsyncSession, user_id: uuid.UUID) -> None:
        posts, announcements = PostStore(session), Announcements(session, self.ambient)
        for post_id in await posts.living_of(user_id):
            await posts.set_state(post_id, State.DELETED)
            await ReactionStore(session).forget_post(post_id)
            await CountingStore(session).touch_post(post_id, user_id)
            await announcements.removed(post_id, user_id, DELETED)
