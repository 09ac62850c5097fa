"""Turns bytes that nobody has verified into an asset's object and its previews."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.object_store import ObjectStore
from meshkit.tasks import attempt
from platform_svc.assets.asset import Asset, Flaw
from platform_svc.assets.preview import CONTENT_TYPE, Preview, preview_key, preview_keys
from platform_svc.assets.preview_store import PreviewStore
from platform_svc.assets.probing import Picture
from platform_svc.assets.store import AssetStore
from platform_svc.assets.verification import Verifier


@dataclass(frozen=True, slots=True)
class Examined:
    """An asset, ready or rejected, as its row is to say, and the previews that were kept."""

    asset: Asset
    previews: Sequence[Preview] = ()


@dataclass(frozen=True, slots=True)
class Promotion:
    """Verifies, keeps and removes the bytes of assets; knows no rows."""

    objects: ObjectStore
    verifier: Verifier

    async def examine(self, asset: Asset, source_key: str) -> Examined:
        """Keep the bytes of a pending asset if they are what was announced.

        Raises:
            ObjectMissing: they are not there.
            Unavailable: there is no verdict for now.
        """
        async with self.verifier.verify(source_key, asset.contents) as verified:
            if isinstance(verified, Flaw):
                return Examined(asset.reject(verified))
            # The verified bytes themselves are written: a copy inside the store would trust
            # that the source has not changed since it was read.
            await self.objects.put_file(
                asset.object_key, verified.file, content_type=asset.contents.content_type
            )
            previews = await self.keep_previews(asset, verified.probed.pictures)
            return Examined(asset.accept(verified.probed.dimensions), previews)

    async def keep_previews(self, asset: Asset, pictures: Sequence[Picture]) -> list[Preview]:
        """Write the previews of an asset."""
        for picture in pictures:
            key = preview_key(asset, picture.kind)
            await self.objects.put(key, picture.data, content_type=CONTENT_TYPE)
        return [
            Preview(asset.id, picture.kind, picture.width, picture.height, len(picture.data))
            for picture in pictures
        ]

    async def remove_kept(self, asset: Asset) -> None:
        """Remove what was kept of an asset: best effort, the sweeper removes what stays."""
        await self.remove(asset.object_key, *preview_keys(asset))

    async def remove(self, *keys: str) -> None:
        """Remove objects: best effort after a commit, the sweeper removes what stays."""
        for key in keys:
            await attempt("assets-remove-object", self.objects.delete(key))


async def record_previews(
    session: AsyncSession, asset_id: uuid.UUID, previews: Sequence[Preview], *, now: datetime
) -> None:
    """Write in the caller's transaction that these are all the previews that an asset has."""
    await PreviewStore(session).write(previews)
    await AssetStore(session).note_previewed(asset_id, at=now)
