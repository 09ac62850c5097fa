"""Read use cases of feeds: ids in an order first, then the posts, by the rules of the moment."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.errors import ProfileMissing
from business_svc.social.home_store import ACTIVE_FOR, HomeStore
from business_svc.social.keysets import Asked, Page, id_token
from business_svc.social.post import PostView
from business_svc.social.profile_queries import Viewer
from business_svc.social.ranking_store import RankingStore
from business_svc.social.view_store import ViewStore
from meshkit.clock import Ambient
from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token

HOME: Final = "home"
EXPLORE: Final = "explore"
# That a user looks is kept to a day, which spares nearly all reads a write.
SEEN_TO: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Explored:
    """A page of one numbered ranking."""

    page: Page[PostView]
    ranking: int


@dataclass(frozen=True, slots=True)
class FeedQueries:
    """What may be asked about feeds."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def home(self, user_id: uuid.UUID, asked: Asked) -> Page[PostView]:
        """Return the posts of those whom a user follows, newest first.

        Raises:
            ProfileMissing: the user has no profile.
        """
        after = asked.after_id(HOME)
        if after is None:
            await self._look(user_id)
        async with self.sessions() as session:
            ids = await HomeStore(session).page(user_id, after=after, count=asked.count + 1)
            views = await _in_order(session, user_id, ids[: asked.count])
        token = id_token(HOME, ids[asked.count - 1]) if len(ids) > asked.count else ""
        return Page(views, token)

    async def explore(self, viewer: Viewer, asked: Asked) -> Explored:
        """Return public posts in the order of one ranking.

        Raises:
            InvalidPageToken: the token is of another list, or of a ranking that is gone.
        """
        async with self.sessions() as session:
            rankings = RankingStore(session)
            place = _ranking_place(asked.page_token)
            number, after = place or (await rankings.newest(), 0)
            if place is not None and not await rankings.is_kept(number):
                raise InvalidPageToken("the ranking of this page is gone: begin again")
            ranked = await rankings.page(number, viewer, after=after, count=asked.count + 1)
            page = ranked[: asked.count]
            views = await _in_order(session, viewer, [one.post_id for one in page])
        token = ""
        if len(ranked) > asked.count:
            token = encode_page_token([EXPLORE, number, page[-1].rank])
        return Explored(Page(views, token), number)

    async def _look(self, user_id: uuid.UUID) -> None:
        """Keep that the user looks, and make the feed of one who was away."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            home = HomeStore(session)
            seen_at = await home.seen_at(user_id)
            if seen_at is None:
                raise ProfileMissing
            if seen_at > now - SEEN_TO:
                return
            await home.mark_seen(user_id, now=now)
        if seen_at <= now - ACTIVE_FOR:
            # After the commit: a post of this moment is then seen here, or delivered.
            async with self.sessions.begin() as session:
                await HomeStore(session).rebuild(user_id)


def _ranking_place(token: str) -> tuple[int, int] | None:
    if not token:
        return None
    match decode_page_token(token):
        case ("explore", int(number), int(rank)):
            return number, rank
        case _:
            raise InvalidPageToken("page_token is of another list")


async def _in_order(
    session: AsyncSession, viewer: Viewer, ids: Sequence[uuid.UUID]
) -> list[PostView]:
    views = await ViewStore(session, viewer).several(ids)
    return [views[post_id] for post_id in ids if post_id in views]
