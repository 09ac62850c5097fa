"""SQL that reads posts as one viewer sees them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.social.post import Ancestor, PostView
from business_svc.social.post_rows import select_views, views_of
from business_svc.social.tables import LineageRow, PostRow

DISTANCE_MAX = 8
ANCESTORS_MAX = 100


@dataclass(frozen=True, slots=True)
class ViewStore:
    """Reads for one viewer, who is None without a token."""

    session: AsyncSession
    viewer: uuid.UUID | None

    async def find(self, post_id: uuid.UUID) -> PostView | None:
        """Return a post that the viewer may see."""
        found = await self._views(select_views(self.viewer).where(PostRow.id == post_id))
        return found[0] if found else None

    async def several(self, post_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, PostView]:
        """Return those of the posts that the viewer may see, by id."""
        if not post_ids:
            return {}
        found = await self._views(select_views(self.viewer).where(PostRow.id.in_(post_ids)))
        return {view.post.id: view for view in found}

    async def of_author(
        self, author_id: uuid.UUID, *, after: uuid.UUID | None, count: int
    ) -> Sequence[PostView]:
        """Return an author's posts, newest first."""
        query = select_views(self.viewer).where(PostRow.author_id == author_id)
        return await self._newest(query, after, count)

    async def remixes_of(
        self, post_id: uuid.UUID, *, after: uuid.UUID | None, count: int
    ) -> Sequence[PostView]:
        """Return posts that were made of a post, newest first."""
        query = (
            select_views(self.viewer)
            .join(LineageRow, LineageRow.child_id == PostRow.id)
            .where(LineageRow.parent_id == post_id)
        )
        return await self._newest(query, after, count)

    async def ancestors_of(self, post_id: uuid.UUID) -> Sequence[Ancestor]:
        """Return what a post was made of, nearest first, up to 8 steps back."""
        steps = select(
            LineageRow.parent_id, LineageRow.child_id, LineageRow.run_id, literal(1).label("n")
        ).where(LineageRow.child_id == post_id)
        tree = steps.cte("ancestors", recursive=True)
        further = select(
            LineageRow.parent_id, LineageRow.child_id, LineageRow.run_id, tree.c.n + 1
        ).join(tree, LineageRow.child_id == tree.c.parent_id)
        tree = tree.union(further.where(tree.c.n < DISTANCE_MAX))
        query = select(tree).order_by(tree.c.n, tree.c.parent_id).limit(ANCESTORS_MAX)
        rows = (await self.session.execute(query)).all()
        views = await self.several({row.parent_id for row in rows})
        return [
            Ancestor(row.parent_id, row.child_id, row.n, row.run_id, views.get(row.parent_id))
            for row in rows
        ]

    async def _newest(self, query: Any, after: uuid.UUID | None, count: int) -> Sequence[PostView]:
        if after is not None:
            query = query.where(PostRow.id < after)
        return await self._views(query.order_by(PostRow.id.desc()).limit(count))

    async def _views(self, query: Any) -> list[PostView]:
        return views_of((await self.session.execute(query)).all())
