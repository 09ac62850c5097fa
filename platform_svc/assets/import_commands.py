"""Results of runs become assets."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.object_store import ObjectMissing
from platform_svc.assets.asset import Asset, Contents, State, check_content_type
from platform_svc.assets.errors import AssetIdReused, UploadMissing, UploadRejected
from platform_svc.assets.promotion import Examined, Promotion, record_previews
from platform_svc.assets.shelf import Shelf
from platform_svc.assets.store import STORED, AssetStore
from platform_svc.assets.usage import Quota


@dataclass(frozen=True, slots=True)
class Import:
    """An object of the store that is to become a ready asset."""

    asset_id: uuid.UUID
    org_id: uuid.UUID
    source_key: str
    contents: Contents
    run_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class ImportCommands:
    """What services may do to make assets of objects."""

    sessions: async_sessionmaker[AsyncSession]
    promotion: Promotion
    ambient: Ambient
    quota: Quota

    async def import_result(self, request: Import) -> Asset:
        """Make a ready asset of an object; the same request again gives the same asset.

        A result was paid for, so it is kept whatever the quota of its organization.

        Raises:
            AssetIdReused: the id names another asset.
            UploadMissing: the object is not there.
            UploadRejected: the object is not what the request says.
            UnsupportedContentType: such files are not taken.
        """
        check_content_type(request.contents.content_type)
        asset = Asset(
            request.asset_id,
            request.org_id,
            request.contents,
            State.PENDING,
            self.ambient.now(),
            run_id=request.run_id,
        )
        earlier = await self._find(asset.id)
        kept = earlier or await self._import(asset, request.source_key)
        if not kept.is_same_import(asset):
            raise AssetIdReused(asset.id)
        await self.promotion.remove(request.source_key)
        return kept

    async def copy(self, source: Asset, *, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
        """Make a ready asset of another one's bytes; the same ids again give the same asset.

        Raises:
            StorageQuotaExceeded: the organization has no room for it.
            AssetIdReused: the id names another asset.
            UploadMissing: the source was deleted meanwhile.
        """
        asset = Asset(asset_id, org_id, source.contents, State.PENDING, self.ambient.now())
        kept = await self._find(asset.id)
        if kept is None:
            # Before any bytes are moved; twins that come together may be over by one another.
            async with self.sessions.begin() as session:
                shelf = await Shelf.lock(session, org_id)
                shelf.check_room(source.contents.size_bytes, self.quota)
            kept = await self._import(asset, source.object_key)
        if not kept.is_same_import(asset):
            raise AssetIdReused(asset.id)
        return kept

    async def _import(self, asset: Asset, source_key: str) -> Asset:
        """Give the asset that has the id in the end: this one, or that of a twin call."""
        try:
            examined = await self._promote(asset, source_key)
        except (UploadMissing, UploadRejected):
            # A twin removes the source, though only after its commit: what it has made stands,
            # whatever was there to be read since.
            earlier = await self._find(asset.id)
            if earlier is None:
                raise
            return earlier
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, asset.org_id)
            if await shelf.add(examined.asset):
                await record_previews(session, asset.id, examined.previews, now=self.ambient.now())
                return examined.asset
            twin = await AssetStore(session).find(asset.id)
            assert twin is not None, "rows of imports go a month after their deletion"
        if twin.state not in STORED or twin.object_key != asset.object_key:
            await self.promotion.remove_kept(asset)
        return twin

    async def _promote(self, asset: Asset, source_key: str) -> Examined:
        try:
            examined = await self.promotion.examine(asset, source_key)
        except ObjectMissing:
            raise UploadMissing(asset.id) from None
        if examined.asset.flaw is not None:
            raise UploadRejected(asset.id, detail=examined.asset.flaw)
        return examined

    async def _find(self, asset_id: uuid.UUID) -> Asset | None:
        async with self.sessions() as session:
            return await AssetStore(session).find(asset_id)
