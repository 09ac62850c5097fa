"""SQL of profiles and handles."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.social.errors import ProfileMissing
from business_svc.social.profile import Profile, ProfileChange, ProfileState, check_active
from business_svc.social.tables import HandleRow, ProfileRow


@dataclass(frozen=True, slots=True)
class ProfileStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def add(self, profile: Profile) -> bool:
        """Keep a new profile; False if the user has one."""
        added = await self.session.scalar(
            insert(ProfileRow)
            .values(
                user_id=profile.user_id,
                handle=profile.handle,
                display_name=profile.display_name,
                bio=profile.bio,
                state=profile.state,
                is_pulled=False,
                follower_count=0,
                following_count=0,
                post_count=0,
                created_at=profile.created_at,
                home_seen_at=profile.created_at,
            )
            .on_conflict_do_nothing(index_elements=[ProfileRow.user_id])
            .returning(ProfileRow.user_id)
        )
        return added is not None

    async def claim_handle(self, handle: str, user_id: uuid.UUID, *, now: datetime) -> bool:
        """Make a handle the user's for ever; False if it is somebody else's."""
        claim = insert(HandleRow).values(handle=handle, user_id=user_id, claimed_at=now)
        # A second claim at the same time waits here for the first one's commit.
        await self.session.execute(claim.on_conflict_do_nothing())
        owner = await self.session.scalar(
            select(HandleRow.user_id).where(HandleRow.handle == handle)
        )
        return owner == user_id

    async def count_handles(self, user_id: uuid.UUID) -> int:
        """Return how many handles a user has or had."""
        query = select(func.count()).where(HandleRow.user_id == user_id)
        return await self.session.scalar(query) or 0

    async def find(self, user_id: uuid.UUID) -> Profile | None:
        """Return a user's profile in whatever state."""
        row = await self.session.get(ProfileRow, user_id)
        return None if row is None else profile_of(row)

    async def find_by_handle(self, handle: str) -> Profile | None:
        """Return the profile that has or had a handle, in whatever state."""
        row = await self.session.scalar(
            select(ProfileRow)
            .join(HandleRow, HandleRow.user_id == ProfileRow.user_id)
            .where(HandleRow.handle == handle)
        )
        return None if row is None else profile_of(row)

    async def acting(self, user_id: uuid.UUID, *, lock: bool = False) -> Profile:
        """Return the profile of a user who wants to do something.

        `lock` lets the user do one such thing at a time until the transaction ends.

        Raises:
            ProfileMissing: the user has none.
            ProfileSuspended: operators suspended it.
        """
        query = select(ProfileRow).where(ProfileRow.user_id == user_id)
        if lock:
            # What refers to the profile, such as others' follows, need not wait for this.
            query = query.with_for_update(key_share=True)
        row = await self.session.scalar(query)
        if row is None:
            raise ProfileMissing
        profile = profile_of(row)
        check_active(profile)
        return profile

    async def change(self, user_id: uuid.UUID, change: ProfileChange) -> None:
        """Write what a change has."""
        values = {
            name: value
            for name in ("handle", "display_name", "bio")
            if (value := getattr(change, name)) is not None
        }
        if values:
            await self.session.execute(
                update(ProfileRow).where(ProfileRow.user_id == user_id).values(**values)
            )

    async def set_state(self, user_id: uuid.UUID, state: ProfileState) -> None:
        """Suspend, restore or delete a profile; a deleted one stays so."""
        await self.session.execute(
            update(ProfileRow)
            .where(ProfileRow.user_id == user_id, ProfileRow.state != ProfileState.DELETED)
            .values(state=state)
        )


def profile_of(row: ProfileRow) -> Profile:
    """Return the value that a row holds."""
    return Profile(
        user_id=row.user_id,
        handle=row.handle,
        display_name=row.display_name,
        bio=row.bio,
        state=ProfileState(row.state),
        created_at=row.created_at,
        follower_count=row.follower_count,
        following_count=row.following_count,
        post_count=row.post_count,
    )
