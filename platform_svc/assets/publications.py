"""Use cases for assets that their owners published: to show them, and to hand out copies."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from platform_svc.assets.asset import Asset
from platform_svc.assets.import_commands import ImportCommands
from platform_svc.assets.queries import AssetQueries, Download

# Whoever hides a picture hides it for good within this time.
SHOWN_FOR: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Copy:
    """A wish for another organization's asset; the caller chose the id of the copy."""

    source_org_id: uuid.UUID
    source_asset_id: uuid.UUID
    org_id: uuid.UUID
    asset_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Publications:
    """What services may do with published assets."""

    imports: ImportCommands
    queries: AssetQueries

    async def describe(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
        """Give a ready asset. Raises as `AssetQueries.get_ready` does."""
        return await self.queries.get_ready(org_id, asset_id)

    async def show(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> Download:
        """Sign a GET, good for a minute, of a ready asset. Raises as `get_ready` does."""
        asset = await self.queries.get_ready(org_id, asset_id)
        return await self.queries.sign_inline(asset, SHOWN_FOR)

    async def copy(self, wanted: Copy) -> Asset:
        """Make the copy, or give the one that was made before.

        Raises:
            AssetNotFound: the source's organization has no such asset.
            AssetNotReady: the source's bytes are not there, or were refused.
            UploadMissing: the source was deleted meanwhile.
            AssetIdReused: the id names another asset.
            StorageQuotaExceeded: the copy's organization has no room for it.
        """
        source = await self.queries.get_ready(wanted.source_org_id, wanted.source_asset_id)
        return await self.imports.copy(source, org_id=wanted.org_id, asset_id=wanted.asset_id)
