"""Read use cases of the assets service."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import InvalidPageToken
from meshkit.object_store import ObjectStore
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.assets.asset import GONE, Asset, State
from platform_svc.assets.errors import AssetNotFound, AssetNotReady
from platform_svc.assets.share import DOWNLOAD_LIFETIME as SHARED_LIFETIME
from platform_svc.assets.share import ShareLink
from platform_svc.assets.share_store import ShareStore
from platform_svc.assets.store import AssetStore, Place

PAGE_SIZE_DEFAULT = 50
ASSETS = "assets"
TRASH = "trash"
DOWNLOAD_LIFETIME = timedelta(minutes=5)
PRESIGNED_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class AssetPage:
    """Some assets, newest first; `next_page_token` is empty on the last page."""

    assets: list[Asset]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class Download:
    """A URL that gives an asset's bytes until it expires."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AssetQueries:
    """What may be asked about assets."""

    sessions: async_sessionmaker[AsyncSession]
    objects: ObjectStore
    ambient: Ambient

    async def get(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
        """Give an asset that is not deleted; the trash has a list of its own.

        Raises:
            AssetNotFound: the organization has no such asset.
        """
        async with self.sessions() as session:
            asset = await AssetStore(session).find(asset_id)
        if asset is None or asset.org_id != org_id or asset.state in GONE:
            raise AssetNotFound(asset_id)
        return asset

    async def get_ready(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
        """Give an asset whose bytes are verified.

        Raises:
            AssetNotFound: the organization has no such asset.
            AssetNotReady: its bytes are not there, or were refused.
        """
        asset = await self.get(org_id, asset_id)
        if asset.state is not State.READY:
            raise AssetNotReady(asset_id, state=asset.state)
        return asset

    async def page(self, org_id: uuid.UUID, *, page_size: int, page_token: str) -> AssetPage:
        """Give one page of an organization's assets; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            assets = await AssetStore(session).page(
                org_id, after=_place(page_token, ASSETS), count=count + 1
            )
        page = assets[:count]
        more = len(assets) > count
        return AssetPage(page, _token(page[-1]) if more else "")

    async def trash_page(self, org_id: uuid.UUID, *, page_size: int, page_token: str) -> AssetPage:
        """Give one page of an organization's trash; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            assets = await AssetStore(session).trash(
                org_id, after=_place(page_token, TRASH), count=count + 1
            )
        page = assets[:count]
        more = len(assets) > count
        return AssetPage(page, _token_of_trash(page[-1]) if more else "")

    async def download(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> Download:
        """Sign a download of one asset. Raises as `get_ready` does."""
        asset = await self.get_ready(org_id, asset_id)
        expires_at = self.ambient.now() + DOWNLOAD_LIFETIME
        url = await self._sign(asset, DOWNLOAD_LIFETIME, inline=False)
        return Download(url, expires_at)

    async def presign(
        self, org_id: uuid.UUID, asset_ids: Sequence[uuid.UUID]
    ) -> dict[uuid.UUID, str]:
        """Sign downloads, to be shown in place, of those assets that are ready."""
        async with self.sessions() as session:
            assets = await AssetStore(session).ready(org_id, asset_ids)
        return {
            asset.id: await self._sign(asset, PRESIGNED_LIFETIME, inline=True) for asset in assets
        }

    async def sign_shared(self, asset: Asset) -> Download:
        """Sign a download for somebody who has a share link."""
        expires_at = self.ambient.now() + SHARED_LIFETIME
        return Download(await self._sign(asset, SHARED_LIFETIME, inline=False), expires_at)

    async def share_links(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> list[ShareLink]:
        """Give an asset's links, newest first. Raises as `get` does."""
        await self.get(org_id, asset_id)
        async with self.sessions() as session:
            return await ShareStore(session).of(asset_id)

    async def sign_inline(self, asset: Asset, lifetime: timedelta) -> Download:
        """Sign a GET of a ready asset, to be shown in place."""
        expires_at = self.ambient.now() + lifetime
        return Download(await self._sign(asset, lifetime, inline=True), expires_at)

    async def _sign(self, asset: Asset, lifetime: timedelta, *, inline: bool) -> str:
        return await self.objects.presign_get(
            asset.object_key,
            filename=asset.contents.filename,
            content_type=asset.contents.content_type,
            expires=lifetime,
            inline=inline,
        )


def _token(last: Asset) -> str:
    return encode_page_token([ASSETS, last.created_at.isoformat(), last.id.hex])


def _token_of_trash(last: Asset) -> str:
    assert last.trashed is not None
    return encode_page_token([TRASH, last.trashed.at.isoformat(), last.id.hex])


def _place(page_token: str, of: str) -> Place | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case (str(name), str(moment), str(asset_id)) if name == of:
            return Place(datetime.fromisoformat(moment).astimezone(UTC), uuid.UUID(asset_id))
        case _:
            raise InvalidPageToken("page_token is of another list")
