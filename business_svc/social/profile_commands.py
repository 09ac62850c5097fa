"""Write use cases of profiles: each method is one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.errors import HandleTaken, ProfileExists, TooManyHandles
from business_svc.social.profile import (
    HANDLES_MAX,
    Profile,
    ProfileChange,
    ProfileView,
    check_handle,
)
from business_svc.social.profile_store import ProfileStore
from meshkit.clock import Ambient
from meshkit.idempotency import Call

R = TypeVar("R", bound=Message)


@dataclass(frozen=True, slots=True)
class ProfileCommands:
    """What may be done to one's own profile."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def create(
        self, profile: Profile, call: Call[R], respond: Callable[[ProfileView], R]
    ) -> R:
        """Make a profile; a repeated key gives the first answer.

        Raises:
            HandleReserved: the handle is kept for the platform.
            HandleTaken: it is somebody else's.
            ProfileExists: the user has a profile.
        """
        check_handle(profile.handle)
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            store = ProfileStore(session)
            if not await store.claim_handle(
                profile.handle, profile.user_id, now=profile.created_at
            ):
                raise HandleTaken(profile.handle)
            if not await store.add(profile):
                raise ProfileExists
            return await call.answer(session, respond(ProfileView(profile)))

    async def change(self, user_id: uuid.UUID, change: ProfileChange) -> ProfileView:
        """Change what the change has; may be repeated.

        Raises:
            ProfileMissing: the user has no profile.
            ProfileSuspended: operators suspended it.
            HandleReserved: the handle is kept for the platform.
            HandleTaken: it is somebody else's.
            TooManyHandles: the user has had as many as one may.
        """
        if change.handle is not None:
            check_handle(change.handle)
        async with self.sessions.begin() as session:
            store = ProfileStore(session)
            await store.acting(user_id, lock=True)
            if change.handle is not None:
                if not await store.claim_handle(change.handle, user_id, now=self.ambient.now()):
                    raise HandleTaken(change.handle)
                if await store.count_handles(user_id) > HANDLES_MAX:
                    raise TooManyHandles  # Which takes the claim back as well.
            await store.change(user_id, change)
        async with self.sessions() as session:
            return ProfileView(await ProfileStore(session).acting(user_id))
