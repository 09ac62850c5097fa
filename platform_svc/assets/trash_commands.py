"""Deletion: into the trash, out of it, and for good."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from platform_svc.assets.asset import Asset, State
from platform_svc.assets.errors import AssetNotFound, AssetNotInTrash, AssetNotReady
from platform_svc.assets.parts import UploadParts
from platform_svc.assets.promotion import Promotion
from platform_svc.assets.shelf import Shelf


@dataclass(frozen=True, slots=True)
class TrashCommands:
    """What may be done to get rid of assets, and to get them back."""

    sessions: async_sessionmaker[AsyncSession]
    promotion: Promotion
    parts: UploadParts
    ambient: Ambient
    kept_for: timedelta

    async def delete(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> None:
        """Put a ready asset into the trash, and remove another one; harmless if that was done.

        Raises:
            AssetNotFound: the organization never had such an asset, or long ago.
        """
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, org_id)
            asset = await shelf.find(asset_id)
            now = self.ambient.now()
            after = asset.discard(now, self.kept_for)
            if after == asset:
                return
            await shelf.change(asset, after, now=now)
        if after.state is State.DELETED:
            await self._remove_bytes(asset)

    async def restore(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
        """Take an asset out of the trash; a ready one is given as it is.

        Raises:
            AssetNotFound: the organization has no such asset.
            AssetNotReady: it was never ready, or was lost.
        """
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, org_id)
            asset = await shelf.find(asset_id)
            if asset.state is State.DELETED:
                raise AssetNotFound(asset_id)
            if asset.state is State.READY:
                return asset
            if asset.state is not State.TRASHED:
                raise AssetNotReady(asset_id, state=asset.state)
            return await shelf.change(asset, asset.restore(), now=self.ambient.now())

    async def purge(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> None:
        """Remove an asset of the trash for good; harmless if that was done.

        Raises:
            AssetNotFound: the organization never had such an asset, or long ago.
            AssetNotInTrash: it does not lie there.
        """
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, org_id)
            asset = await shelf.find(asset_id)
            if asset.state is State.DELETED:
                return
            if asset.state is not State.TRASHED:
                raise AssetNotInTrash(asset_id, state=asset.state)
            await shelf.change(asset, asset.remove(), now=self.ambient.now())
        await self._remove_bytes(asset)

    async def empty(self, org_id: uuid.UUID) -> int:
        """Remove all that lies in the trash and say how much; the sweeper takes the bytes."""
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, org_id)
            return await shelf.purge(now=self.ambient.now())

    async def _remove_bytes(self, asset: Asset) -> None:
        await self.parts.drop(asset)
        await self.promotion.remove_kept(asset)
        await self.promotion.remove(asset.quarantine_key)
