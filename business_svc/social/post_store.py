"""SQL of posts and of what they were made of."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.social.post import Draft, MediaKind, Post, PostChange, State
from business_svc.social.post_rows import post_of
from business_svc.social.ranking import hot_score
from business_svc.social.reaction_tables import DeliveryRow
from business_svc.social.tables import LineageRow, PostRow, ProfileRow, RemixCopyRow


@dataclass(frozen=True, slots=True)
class PostStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def add(self, post: Post, *, is_pulled: bool) -> bool:
        """Keep a new post; False if what it shows is posted already, or was taken down."""
        added = await self.session.scalar(
            insert(PostRow)
            .values(**_columns(post), is_pulled=is_pulled)
            .on_conflict_do_nothing()
            .returning(PostRow.id)
        )
        return added is not None

    async def deliver(self, post: Post, *, is_pulled: bool) -> None:
        """Put a post on its way to the author's followers, or let them pull it."""
        if is_pulled:
            await self.session.execute(
                update(ProfileRow)
                .where(ProfileRow.user_id == post.author_id)
                .values(is_pulled=True)
            )
            return
        self.session.add(
            DeliveryRow(post_id=post.id, author_id=post.author_id, created_at=post.created_at)
        )

    async def add_parents(self, post: Post, parents: Mapping[uuid.UUID, uuid.UUID]) -> None:
        """Keep the posts that a new post was made of, with the runs that say so."""
        for parent_id, run_id in sorted(parents.items()):
            self.session.add(LineageRow(child_id=post.id, parent_id=parent_id, run_id=run_id))
        await self.session.flush()  # Who touches the parents next reads these rows.

    async def depth(self, posts: Collection[uuid.UUID]) -> int:
        """Return the remix depth of something made of these posts: 0 if there are none."""
        if not posts:
            return 0
        query = select(func.max(PostRow.remix_depth)).where(PostRow.id.in_(posts))
        return 1 + (await self.session.scalar(query) or 0)

    async def lock_own(self, post_id: uuid.UUID, author_id: uuid.UUID) -> Post | None:
        """Return an author's post in whatever state, held until the transaction ends."""
        query = select(PostRow).where(PostRow.id == post_id, PostRow.author_id == author_id)
        row = await self.session.scalar(query.with_for_update(key_share=True))
        return None if row is None else post_of(row)

    async def find(self, post_id: uuid.UUID) -> Post | None:
        """Return a post in whatever state."""
        row = await self.session.get(PostRow, post_id)
        return None if row is None else post_of(row)

    async def change(self, post_id: uuid.UUID, change: PostChange, *, now: datetime) -> None:
        """Write what a change has."""
        names = ("caption", "alt_text", "visibility", "allows_remix")
        values = {name: value for name in names if (value := getattr(change, name)) is not None}
        if values:
            await self.session.execute(
                update(PostRow).where(PostRow.id == post_id).values(**values, edited_at=now)
            )

    async def set_state(self, post_id: uuid.UUID, state: State) -> bool:
        """Publish again, take down or delete; a deleted post loses its words and stays so."""
        emptied = {"caption": "", "alt_text": ""} if state is State.DELETED else {}
        changed = await self.session.scalar(
            update(PostRow)
            .where(PostRow.id == post_id, PostRow.state.not_in([State.DELETED, state]))
            .values(state=state, **emptied)
            .returning(PostRow.id)
        )
        return changed is not None

    async def living_of(self, author_id: uuid.UUID) -> Sequence[uuid.UUID]:
        """Return an author's posts that are not deleted."""
        query = select(PostRow.id).where(
            PostRow.author_id == author_id, PostRow.state != State.DELETED
        )
        return list(await self.session.scalars(query))

    async def newest_but(self, author_id: uuid.UUID, count: int) -> datetime | None:
        """Return when an author posted the newest post but so many, deleted posts included."""
        query = (
            select(PostRow.created_at)
            .where(PostRow.author_id == author_id)
            .order_by(PostRow.id.desc())
            .offset(count)
            .limit(1)
        )
        found: datetime | None = await self.session.scalar(query)
        return found

    async def source_of(self, organization_id: uuid.UUID, asset_id: uuid.UUID) -> uuid.UUID | None:
        """Return the post that an organization's asset is a copy of, or that shows it."""
        copied = await self.copied_from(organization_id, asset_id)
        if copied is not None:
            return copied
        query = select(PostRow.id).where(
            PostRow.organization_id == organization_id,
            PostRow.media_kind == MediaKind.ASSET,
            PostRow.media_id == asset_id,
            PostRow.state != State.DELETED,
        )
        found: uuid.UUID | None = await self.session.scalar(query)
        return found

    async def copied_from(
        self, organization_id: uuid.UUID, asset_id: uuid.UUID
    ) -> uuid.UUID | None:
        """Return the post whose picture was handed out to an organization as this asset."""
        copy = await self.session.get(RemixCopyRow, asset_id)
        return copy.post_id if copy and copy.organization_id == organization_id else None

    async def add_copy(
        self,
        post_id: uuid.UUID,
        *,
        asset_id: uuid.UUID,
        organization_id: uuid.UUID,
        user_id: uuid.UUID,
        now: datetime,
    ) -> None:
        """Keep that a post's picture is handed out as an asset."""
        self.session.add(
            RemixCopyRow(
                asset_id=asset_id,
                organization_id=organization_id,
                post_id=post_id,
                user_id=user_id,
                created_at=now,
            )
        )

    async def copied_since(self, user_id: uuid.UUID, since: datetime) -> int:
        """Return how many copies a user has got since then."""
        query = select(func.count()).where(
            RemixCopyRow.user_id == user_id, RemixCopyRow.created_at > since
        )
        return await self.session.scalar(query) or 0


def new_post(draft: Draft, **fields: Any) -> Post:
    """Return the post that a draft becomes; `fields` are what the draft does not say."""
    return Post(
        author_id=draft.author_id,
        organization_id=draft.organization_id,
        caption=draft.caption,
        alt_text=draft.alt_text,
        visibility=draft.visibility,
        allows_remix=draft.allows_remix,
        state=State.PUBLISHED,
        **fields,
    )


def _columns(post: Post) -> dict[str, Any]:
    return {
        "id": post.id,
        "author_id": post.author_id,
        "organization_id": post.organization_id,
        "media_kind": post.media.reference.kind,
        "media_id": post.media.reference.id,
        "content_type": post.media.content_type,
        "width": post.media.width,
        "height": post.media.height,
        "caption": post.caption,
        "alt_text": post.alt_text,
        "visibility": post.visibility,
        "allows_remix": post.allows_remix,
        "state": post.state,
        "tool": post.tool,
        "run_id": post.run_id,
        "remix_depth": post.remix_depth,
        "like_count": 0,
        "comment_count": 0,
        "remix_count": 0,
        "score": hot_score(likes=0, commenters=0, remixes=0, created_at=post.created_at),
        "created_at": post.created_at,
    }
