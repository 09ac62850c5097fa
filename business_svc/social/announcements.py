"""Events of the social service, written in the transactions that cause them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message
from reelmesh.business.social.v1 import social_events_pb2 as events
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.social.post import Post
from meshkit.clock import Ambient
from meshkit.ids import format_id
from meshkit.outbox import add_event
from meshkit.timestamps import timestamp

PREFIX: Final = "reelmesh.business.social."
POST_PUBLISHED: Final = f"{PREFIX}post_published"
POST_REMOVED: Final = f"{PREFIX}post_removed"
POST_RESTORED: Final = f"{PREFIX}post_restored"
POST_LIKED: Final = f"{PREFIX}post_liked"
POST_COMMENTED: Final = f"{PREFIX}post_commented"
PROFILE_FOLLOWED: Final = f"{PREFIX}profile_followed"
DELETED: Final = "deleted"
TAKEN_DOWN: Final = "taken_down"


@dataclass(frozen=True, slots=True)
class Announcements:
    """Tells other services what happened, once the caller's transaction has committed."""

    session: AsyncSession
    ambient: Ambient

    async def published(self, post: Post, parents: Iterable[uuid.UUID]) -> None:
        """Tell of a new post."""
        created_at = timestamp(post.created_at)
        message = events.PostPublished(
            post_id=format_id("pst", post.id),
            author_user_id=format_id("usr", post.author_id),
            org_id=format_id("org", post.organization_id),
            visibility=post.visibility.value,
            run_id=format_id("run", post.run_id) if post.run_id else "",
            parent_post_ids=[format_id("pst", parent) for parent in sorted(parents)],
            created_at=created_at,
        )
        await self._tell(POST_PUBLISHED, message)

    async def removed(self, post_id: uuid.UUID, author_id: uuid.UUID, why: str) -> None:
        """Tell that a post can no longer be seen."""
        message = events.PostRemoved(
            post_id=format_id("pst", post_id), author_user_id=format_id("usr", author_id), why=why
        )
        await self._tell(POST_REMOVED, message)

    async def restored(self, post_id: uuid.UUID, author_id: uuid.UUID) -> None:
        """Tell that a post that was taken down can be seen again."""
        message = events.PostRestored(
            post_id=format_id("pst", post_id), author_user_id=format_id("usr", author_id)
        )
        await self._tell(POST_RESTORED, message)

    async def liked(self, post: Post, user_id: uuid.UUID) -> None:
        """Tell that a user likes a post."""
        message = events.PostLiked(
            post_id=format_id("pst", post.id),
            author_user_id=format_id("usr", post.author_id),
            user_id=format_id("usr", user_id),
        )
        await self._tell(POST_LIKED, message)

    async def commented(self, post: Post, comment_id: uuid.UUID, user_id: uuid.UUID) -> None:
        """Tell that a user commented on a post."""
        message = events.PostCommented(
            post_id=format_id("pst", post.id),
            author_user_id=format_id("usr", post.author_id),
            comment_id=format_id("cmt", comment_id),
            user_id=format_id("usr", user_id),
        )
        await self._tell(POST_COMMENTED, message)

    async def followed(self, user_id: uuid.UUID, follower_id: uuid.UUID) -> None:
        """Tell that a user follows another one."""
        message = events.ProfileFollowed(
            user_id=format_id("usr", user_id), follower_user_id=format_id("usr", follower_id)
        )
        await self._tell(PROFILE_FOLLOWED, message)

    async def _tell(self, subject: str, message: Message) -> None:
        await add_event(
            self.session,
            subject,
            message,
            event_id=self.ambient.new_id(),
            now=self.ambient.now(),
        )
