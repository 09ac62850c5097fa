"""SQL of explore: numbered rankings that never change once they are made."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.social.post import State, Visibility
from business_svc.social.ranking import RANKED_MAX, Candidate
from business_svc.social.reaction_tables import RankedPostRow, RankingRow
from business_svc.social.rules import visible_posts
from business_svc.social.tables import PostRow, ProfileRow

# More than are ranked, since authors have a bound.
CANDIDATES_MAX: Final = 4 * RANKED_MAX


@dataclass(frozen=True, slots=True)
class Ranked:
    """A post's place in a ranking."""

    rank: int
    post_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class RankingStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def lock(self) -> bool:
        """Become the only one who ranks until the transaction ends; False if another one does."""
        key = func.hashtextextended("social.ranking", 0)
        return bool(await self.session.scalar(select(func.pg_try_advisory_xact_lock(key))))

    async def candidates(self) -> Sequence[Candidate]:
        """Return public posts, those with the highest stored scores first."""
        query = (
            select(PostRow.id, PostRow.author_id)
            .where(PostRow.state == State.PUBLISHED, PostRow.visibility == Visibility.PUBLIC)
            .order_by(PostRow.score.desc(), PostRow.id.desc())
            .limit(CANDIDATES_MAX)
        )
        return [Candidate(*row) for row in await self.session.execute(query)]

    async def add(self, posts: Sequence[uuid.UUID], *, now: datetime) -> int:
        """Keep a new ranking; return its number."""
        row = RankingRow(made_at=now)
        self.session.add(row)
        await self.session.flush()  # The places that follow need its number.
        places = [
            {"number": row.number, "rank": rank, "post_id": post_id}
            for rank, post_id in enumerate(posts, 1)
        ]
        if places:
            await self.session.execute(insert(RankedPostRow), places)
        return row.number

    async def newest(self) -> int:
        """Return the number of the newest ranking, 0 before the first one."""
        return await self.session.scalar(select(func.max(RankingRow.number))) or 0

    async def is_kept(self, number: int) -> bool:
        """Return whether there is still such a ranking."""
        return await self.session.get(RankingRow, number) is not None

    async def order(self, number: int) -> Sequence[uuid.UUID]:
        """Return all posts of a ranking, in its order."""
        query = select(RankedPostRow.post_id).where(RankedPostRow.number == number)
        return list(await self.session.scalars(query.order_by(RankedPostRow.rank)))

    async def forget(self, *, before: datetime, but: int) -> None:
        """Delete the rankings that were made before then, but not this one."""
        await self.session.execute(
            delete(RankingRow).where(RankingRow.made_at < before, RankingRow.number != but)
        )

    async def page(
        self, number: int, viewer: uuid.UUID | None, *, after: int, count: int
    ) -> Sequence[Ranked]:
        """Return the next posts of a ranking that somebody may see."""
        query = (
            select(RankedPostRow.rank, RankedPostRow.post_id)
            .join(PostRow, PostRow.id == RankedPostRow.post_id)
            .join(ProfileRow, ProfileRow.user_id == PostRow.author_id)
            .where(
                RankedPostRow.number == number, RankedPostRow.rank > after, visible_posts(viewer)
            )
            .order_by(RankedPostRow.rank)
            .limit(count)
        )
        return [Ranked(*row) for row in await self.session.execute(query)]
