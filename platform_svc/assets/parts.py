"""Uploads in parts: signed, listed, joined and dropped."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import InvalidRequest
from meshkit.multipart import MultipartUploads, Part
from meshkit.object_store import MultipartMissing, ObjectStore, PresignedPut
from meshkit.tasks import attempt
from platform_svc.assets.asset import GONE, Asset, PartsPlan, State
from platform_svc.assets.errors import (
    AssetNotFound,
    UploadIncomplete,
    UploadNotInParts,
    UploadOver,
)
from platform_svc.assets.store import AssetStore

PART_LIFETIME_MAX: Final = timedelta(hours=1)
LIFETIME_MIN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class PartUpload:
    """One part and how to send it."""

    number: int
    size_bytes: int
    put: PresignedPut


@dataclass(frozen=True, slots=True)
class UploadParts:
    """What may be done to the parts of a pending asset."""

    sessions: async_sessionmaker[AsyncSession]
    objects: ObjectStore
    multiparts: MultipartUploads
    ambient: Ambient

    async def presign(
        self, org_id: uuid.UUID, asset_id: uuid.UUID, numbers: Sequence[int]
    ) -> tuple[Asset, list[PartUpload]]:
        """Sign uploads of parts, each good for an hour at most; begin the upload if it is new.

        Raises:
            AssetNotFound: the organization has no such asset.
            UploadOver: it is not pending any more.
            UploadNotInParts: it comes in one piece.
            InvalidRequest: there are no such parts.
        """
        asset, plan = await self.find(org_id, asset_id)
        size_bytes = asset.contents.size_bytes
        if max(numbers) > plan.count(size_bytes):
            problem = f"the file has {plan.count(size_bytes)} parts"
            raise InvalidRequest(
                "there is no such part", field_violations=[("part_numbers", problem)]
            )
        assert asset.upload_ends_at is not None
        left = asset.upload_ends_at - self.ambient.now()
        if left < LIFETIME_MIN:
            raise UploadOver(asset_id, state=asset.state)
        upload_id = plan.upload_id or await self._begin(asset)
        signed = [
            await self._sign(asset, upload_id, number, min(left, PART_LIFETIME_MAX))
            for number in numbers
        ]
        return replace(asset, plan=replace(plan, upload_id=upload_id)), signed

    async def arrived(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> tuple[Asset, list[Part]]:
        """Give a pending asset and its parts that have arrived, by number.

        Raises as `presign` does.
        """
        asset, plan = await self.find(org_id, asset_id)
        if plan.upload_id is None:
            return asset, []
        try:
            return asset, await self.multiparts.parts(asset.quarantine_key, plan.upload_id)
        except MultipartMissing:
            # A completion has joined them and is at work, or was cut off.
            raise UploadOver(asset_id, state=asset.state) from None

    async def find(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> tuple[Asset, PartsPlan]:
        """Give a pending asset that comes in parts. Raises as `presign` does."""
        async with self.sessions() as session:
            asset = await AssetStore(session).find(asset_id)
        if asset is None or asset.org_id != org_id or asset.state in GONE:
            raise AssetNotFound(asset_id)
        if asset.plan is None:
            raise UploadNotInParts(asset_id)
        if asset.state is not State.PENDING:
            raise UploadOver(asset_id, state=asset.state)
        return asset, asset.plan

    async def join(self, asset: Asset) -> None:
        """Make one object of the parts; harmless if that was done, or if there are none.

        Raises:
            UploadIncomplete: some are missing.
        """
        plan, size_bytes = asset.plan, asset.contents.size_bytes
        if plan is None:
            return
        numbers = range(1, plan.count(size_bytes) + 1)
        if plan.upload_id is None:
            raise UploadIncomplete(asset.id, numbers)
        key = asset.quarantine_key
        try:
            parts = {part.number: part for part in await self.multiparts.parts(key, plan.upload_id)}
            missing = [
                number
                for number in numbers
                if number not in parts
                or parts[number].size_bytes != plan.size_of(number, size_bytes)
            ]
            if missing:
                await self._expect_joined(asset, missing)
                return
            listed = [parts[number] for number in numbers]
            await self.multiparts.complete(key, plan.upload_id, listed)
        except MultipartMissing:
            # An earlier completion has joined them, or they were dropped: what is there tells.
            return

    async def drop(self, asset: Asset) -> None:
        """End the store's upload: best effort, the sweeper drops what stays."""
        if asset.plan is not None and asset.plan.upload_id is not None:
            work = self.multiparts.abort(asset.quarantine_key, asset.plan.upload_id)
            await attempt("assets-drop-parts", work)

    async def _expect_joined(self, asset: Asset, missing: Sequence[int]) -> None:
        # While a completion beside this one joins the parts, some stores have fewer and fewer;
        # the object is there before the first of them goes.
        info = await self.objects.head(asset.quarantine_key)
        if info is None or info.size_bytes != asset.contents.size_bytes:
            raise UploadIncomplete(asset.id, missing)

    async def _begin(self, asset: Asset) -> str:
        key = asset.quarantine_key
        begun = await self.multiparts.begin(key, content_type=asset.contents.content_type)
        async with self.sessions.begin() as session:
            counts = await AssetStore(session).begin_parts(asset.id, begun)
        if counts != begun:  # A call beside this one was first.
            await attempt("assets-drop-parts", self.multiparts.abort(key, begun))
        return counts

    async def _sign(
        self, asset: Asset, upload_id: str, number: int, lifetime: timedelta
    ) -> PartUpload:
        assert asset.plan is not None
        size_bytes = asset.plan.size_of(number, asset.contents.size_bytes)
        put = await self.multiparts.presign(
            asset.quarantine_key,
            upload_id,
            number=number,
            size_bytes=size_bytes,
            expires=lifetime,
        )
        return PartUpload(number, size_bytes, put)
