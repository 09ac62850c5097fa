"""Share links: made, used and revoked."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.context import UserPrincipal
from meshkit.idempotency import Call
from meshkit.peppers import Peppers
from platform_svc.assets.asset import GONE, Asset, State
from platform_svc.assets.errors import (
    AssetNotFound,
    AssetNotReady,
    ShareLinkNotFound,
    ShareLinkUsedUp,
    TooManyShareLinks,
)
from platform_svc.assets.share import LINKS_MAX, ShareLink, ShareState, link_id_of
from platform_svc.assets.share_store import ShareStore
from platform_svc.assets.store import AssetStore

R = TypeVar("R", bound=Message)


@dataclass(frozen=True, slots=True)
class WantedLink:
    """What to share for how long; without `downloads_max` as often as anybody likes."""

    asset_id: uuid.UUID
    lifetime: timedelta
    downloads_max: int | None


@dataclass(frozen=True, slots=True)
class ShareCommands:
    """What may be done to share links, and with them."""

    sessions: async_sessionmaker[AsyncSession]
    peppers: Peppers
    ambient: Ambient

    async def create(
        self,
        wanted: WantedLink,
        creator: UserPrincipal,
        call: Call[R],
        respond: Callable[[ShareLink], R],
    ) -> R:
        """Make a link to a ready asset; a repeated idempotency key gives the first answer.

        Raises:
            AssetNotFound: the organization has no such asset.
            AssetNotReady: there is nothing to share.
            TooManyShareLinks: it has as many links as it may have.
        """
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            # The lock makes the count of links exact.
            asset = await AssetStore(session).find(wanted.asset_id, lock=True)
            _check_ready(asset, creator.organization_id, wanted.asset_id)
            links = ShareStore(session)
            if await links.count(wanted.asset_id) >= LINKS_MAX:
                raise TooManyShareLinks(LINKS_MAX)
            now = self.ambient.now()
            link = ShareLink(
                id=self.ambient.new_id(),
                org_id=creator.organization_id,
                asset_id=wanted.asset_id,
                created_by=creator.user_id,
                created_at=now,
                expires_at=now + wanted.lifetime,
                downloads_max=wanted.downloads_max,
            )
            await links.add(link)
            return await call.answer(session, respond(link))

    async def revoke(self, org_id: uuid.UUID, asset_id: uuid.UUID, link_id: uuid.UUID) -> ShareLink:
        """End a link; one that was revoked is given as it is.

        Raises:
            ShareLinkNotFound: the asset has no such link.
        """
        async with self.sessions.begin() as session:
            links = ShareStore(session)
            link = await links.find(link_id, lock=True)
            if link is None or (link.org_id, link.asset_id) != (org_id, asset_id):
                raise ShareLinkNotFound
            if link.revoked_at is None:
                link = replace(link, revoked_at=self.ambient.now())
                await links.change(link)
            return link

    async def use(self, token: str) -> Asset:
        """Count one download and give the asset.

        Raises:
            ShareLinkNotFound: the token opens nothing, or nothing any more.
            ShareLinkUsedUp: it has opened as often as it may.
        """
        async with self.sessions.begin() as session:
            links = ShareStore(session)
            link = await self._open(session, token, lock=True)
            asset = await AssetStore(session).find(link.asset_id)
            if asset is None or asset.state is not State.READY:
                raise ShareLinkNotFound
            if link.state(self.ambient.now()) is ShareState.USED_UP:
                assert link.downloads_max is not None
                raise ShareLinkUsedUp(link.downloads_max)
            await links.change(replace(link, downloads_count=link.downloads_count + 1))
            return asset

    async def look(self, token: str) -> tuple[ShareLink, Asset]:
        """Give a link and its asset without counting a download.

        Raises:
            ShareLinkNotFound: the token opens nothing, or nothing any more.
        """
        async with self.sessions() as session:
            link = await self._open(session, token)
            asset = await AssetStore(session).find(link.asset_id)
        if asset is None or asset.state is not State.READY:
            raise ShareLinkNotFound
        return link, asset

    async def _open(self, session: AsyncSession, token: str, *, lock: bool = False) -> ShareLink:
        link_id = link_id_of(self.peppers, token)
        link = None if link_id is None else await ShareStore(session).find(link_id, lock=lock)
        over = {ShareState.EXPIRED, ShareState.REVOKED}
        if link is None or link.state(self.ambient.now()) in over:
            raise ShareLinkNotFound
        return link


def _check_ready(asset: Asset | None, org_id: uuid.UUID, asset_id: uuid.UUID) -> None:
    if asset is None or asset.org_id != org_id or asset.state in GONE:
        raise AssetNotFound(asset_id)
    if asset.state is not State.READY:
        raise AssetNotReady(asset_id, state=asset.state)
