"""Uploads: reserved, completed and given up.

Bytes come first and rows last: an object is written before the row that says it is ready, and a
row stops saying so before its object goes. What a crash leaves over is an object without a use,
which the sweeper removes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.idempotency import Call
from meshkit.object_store import ObjectMissing, ObjectStore, PresignedPut
from platform_svc.assets.asset import GONE, Asset, Contents, PartsPlan, State, check_size
from platform_svc.assets.errors import (
    AssetNotFound,
    UploadMissing,
    UploadOver,
    UploadRejected,
)
from platform_svc.assets.parts import UploadParts
from platform_svc.assets.promotion import Examined, Promotion, record_previews
from platform_svc.assets.shelf import Shelf
from platform_svc.assets.store import STORED, AssetStore
from platform_svc.assets.usage import Quota

R = TypeVar("R", bound=Message)


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """How long uploads may take, how they are cut, and what an organization may store."""

    lifetime: timedelta
    parts_lifetime: timedelta
    part_bytes: int
    quota: Quota


@dataclass(frozen=True, slots=True)
class Upload:
    """A reserved asset and how to send its bytes; without `put` in parts."""

    asset: Asset
    put: PresignedPut | None


@dataclass(frozen=True, slots=True)
class AssetCommands:
    """What may be done to make assets of uploads."""

    sessions: async_sessionmaker[AsyncSession]
    objects: ObjectStore
    promotion: Promotion
    parts: UploadParts
    ambient: Ambient
    policy: UploadPolicy

    async def create(
        self,
        org_id: uuid.UUID,
        contents: Contents,
        call: Call[R],
        respond: Callable[[Upload], R],
        *,
        in_parts: bool,
    ) -> R:
        """Reserve an asset and sign its upload; a repeated key gives the first answer.

        Raises:
            UnsupportedContentType: such files are not taken.
            InvalidRequest: the file is too long.
            StorageQuotaExceeded: the organization has no room for it.
            IdempotencyKeyReused: the key was used for another asset.
        """
        check_size(contents, in_parts=in_parts)
        asset = self._reserve(org_id, contents, in_parts=in_parts)
        put = None if in_parts else await self._presign(asset)
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            shelf = await Shelf.lock(session, org_id)
            shelf.check_room(contents.size_bytes, self.policy.quota)
            added = await shelf.add(asset)
            assert added, "new ids are unique"
            return await call.answer(session, respond(Upload(asset, put)))

    async def complete(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
        """Verify an upload and make its asset ready; a ready asset is given as it is.

        Raises:
            AssetNotFound: the organization has no such asset.
            UploadMissing: nothing was uploaded.
            UploadIncomplete: parts are missing.
            UploadRejected: the bytes are not what was announced, now or at an earlier attempt.
            UploadOver: the asset was ready, and was lost.
        """
        asset = await self._find(org_id, asset_id)
        if asset.state is State.PENDING:
            await self.parts.join(asset)
            asset = await self._examine(asset)
        if asset.state in GONE:
            raise AssetNotFound(asset_id)
        if asset.state is State.REJECTED:
            assert asset.flaw is not None
            raise UploadRejected(asset_id, detail=asset.flaw)
        if asset.state is not State.READY:
            raise UploadOver(asset_id, state=asset.state)
        return asset

    async def abort(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> None:
        """Give an upload up and free its room; one that was given up stays so.

        Raises:
            AssetNotFound: the organization never had such an asset, or long ago.
            UploadOver: it was completed.
        """
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, org_id)
            asset = await shelf.find(asset_id)
            if asset.state is State.DELETED:
                return
            if asset.state is not State.PENDING:
                raise UploadOver(asset_id, state=asset.state)
            await shelf.change(asset, asset.remove(), now=self.ambient.now())
        await self.parts.drop(asset)
        await self.promotion.remove(asset.quarantine_key)

    def _reserve(self, org_id: uuid.UUID, contents: Contents, *, in_parts: bool) -> Asset:
        now = self.ambient.now()
        lifetime = self.policy.parts_lifetime if in_parts else self.policy.lifetime
        plan = PartsPlan(self.policy.part_bytes) if in_parts else None
        return Asset(
            self.ambient.new_id(), org_id, contents, State.PENDING, now, now + lifetime, plan=plan
        )

    async def _presign(self, asset: Asset) -> PresignedPut:
        return await self.objects.presign_put(
            asset.quarantine_key,
            content_type=asset.contents.content_type,
            size_bytes=asset.contents.size_bytes,
            sha256=asset.contents.sha256,
            expires=self.policy.lifetime,
        )

    async def _find(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
        async with self.sessions() as session:
            asset = await AssetStore(session).find(asset_id)
        if asset is None or asset.org_id != org_id:
            raise AssetNotFound(asset_id)
        return asset

    async def _examine(self, asset: Asset) -> Asset:
        try:
            examined = await self.promotion.examine(asset, asset.quarantine_key)
        except ObjectMissing:
            examined = None
        current = await self._settle(asset, examined)
        await self.promotion.remove(asset.quarantine_key)
        if current.state not in STORED:
            await self.promotion.remove_kept(asset)
        return current

    async def _settle(self, asset: Asset, examined: Examined | None) -> Asset:
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, asset.org_id)
            # Another completion or a deletion may have come first: its word stands.
            current = await shelf.find(asset.id)
            if current.state is not State.PENDING:
                return current
            if examined is None:
                raise UploadMissing(asset.id)
            now = self.ambient.now()
            await shelf.change(current, examined.asset, now=now)
            await record_previews(session, asset.id, examined.previews, now=now)
            return examined.asset
