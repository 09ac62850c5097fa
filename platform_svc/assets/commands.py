"""Write use cases of the assets service.

Bytes come first and rows last: an object is written before the row that says it is ready, and a
row stops saying so before its object goes. What a crash leaves over is an object without a use,
which the sweeper removes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.idempotency import Call
from meshkit.object_store import ObjectMissing, ObjectStore, PresignedPut
from meshkit.tasks import attempt
from platform_svc.assets.asset import Asset, Contents, Flaw, State, check_content_type
from platform_svc.assets.errors import AssetIdReused, AssetNotFound, UploadMissing, UploadRejected
from platform_svc.assets.store import AssetStore
from platform_svc.assets.verification import Verified, Verifier

R = TypeVar("R", bound=Message)


@dataclass(frozen=True, slots=True)
class Upload:
    """A reserved asset and how to send its bytes."""

    asset: Asset
    put: PresignedPut


@dataclass(frozen=True, slots=True)
class Import:
    """An object of the store that is to become a ready asset."""

    asset_id: uuid.UUID
    org_id: uuid.UUID
    source_key: str
    contents: Contents
    run_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class AssetCommands:
    """What may be done to assets."""

    sessions: async_sessionmaker[AsyncSession]
    objects: ObjectStore
    verifier: Verifier
    ambient: Ambient
    upload_lifetime: timedelta

    async def create(
        self,
        org_id: uuid.UUID,
        contents: Contents,
        call: Call[R],
        respond: Callable[[Upload], R],
    ) -> R:
        """Reserve an asset and sign its upload; a repeated key gives the first answer.

        Raises:
            UnsupportedContentType: such files are not taken.
            IdempotencyKeyReused: the key was used for another asset.
        """
        check_content_type(contents.content_type)
        now = self.ambient.now()
        ends_at = now + self.upload_lifetime
        asset = Asset(self.ambient.new_id(), org_id, contents, State.PENDING, now, ends_at)
        put = await self.objects.presign_put(
            asset.quarantine_key,
            content_type=contents.content_type,
            size_bytes=contents.size_bytes,
            sha256=contents.sha256,
            expires=self.upload_lifetime,
        )
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            added = await AssetStore(session).add(asset)
            assert added, "new ids are unique"
            return await call.answer(session, respond(Upload(asset, put)))

    async def complete(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
        """Verify an upload and make its asset ready; a ready asset is given as it is.

        Raises:
            AssetNotFound: the organization has no such asset.
            UploadMissing: nothing was uploaded.
            UploadRejected: the bytes are not what was announced, now or at an earlier attempt.
        """
        asset = _owned(await self._find(asset_id), org_id, asset_id)
        if asset.state is State.PENDING:
            asset = await self._examine_upload(asset)
        if asset.state is State.DELETED:
            raise AssetNotFound(asset_id)
        if asset.state is State.REJECTED:
            assert asset.flaw is not None
            raise UploadRejected(asset_id, detail=asset.flaw)
        return asset

    async def delete(self, org_id: uuid.UUID, asset_id: uuid.UUID) -> None:
        """Delete an asset and its bytes; a deleted asset stays deleted.

        Raises:
            AssetNotFound: the organization never had such an asset, or long ago.
        """
        async with self.sessions.begin() as session:
            store = AssetStore(session)
            asset = _owned(await store.find(asset_id, lock=True), org_id, asset_id)
            if asset.state is State.DELETED:
                return
            await store.change(replace(asset, state=State.DELETED), now=self.ambient.now())
        await self._remove(asset.object_key, asset.quarantine_key)

    async def import_result(self, request: Import) -> Asset:
        """Make a ready asset of an object; the same request again gives the same asset.

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
        await self._remove(request.source_key)
        return kept

    async def copy(self, source: Asset, *, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
        """Make a ready asset of another one's bytes; the same ids again give the same asset.

        Raises:
            AssetIdReused: the id names another asset.
            UploadMissing: the source was deleted meanwhile.
        """
        asset = Asset(asset_id, org_id, source.contents, State.PENDING, self.ambient.now())
        earlier = await self._find(asset.id)
        kept = earlier or await self._import(asset, source.object_key)
        if not kept.is_same_import(asset):
            raise AssetIdReused(asset.id)
        return kept

    async def _import(self, asset: Asset, source_key: str) -> Asset:
        """Give the asset that has the id in the end: this one, or that of a twin call."""
        try:
            ready = await self._promote(asset, source_key)
        except (UploadMissing, UploadRejected):
            # A twin removes the source, though only after its commit: what it has made stands,
            # whatever was there to be read since.
            earlier = await self._find(asset.id)
            if earlier is None:
                raise
            return earlier
        async with self.sessions.begin() as session:
            store = AssetStore(session)
            if await store.add(ready):
                return ready
            twin = await store.find(asset.id)
            assert twin is not None, "rows of imports go a month after their deletion"
        if twin.state is not State.READY or twin.object_key != ready.object_key:
            await self._remove(ready.object_key)
        return twin

    async def _find(self, asset_id: uuid.UUID) -> Asset | None:
        async with self.sessions() as session:
            return await AssetStore(session).find(asset_id)

    async def _examine_upload(self, asset: Asset) -> Asset:
        try:
            examined = await self._promote_or_reject(asset)
        except ObjectMissing:
            examined = None
        async with self.sessions.begin() as session:
            store = AssetStore(session)
            # Another completion or a deletion may have come first: its word stands.
            current = await store.find(asset.id, lock=True)
            if current is None:
                raise AssetNotFound(asset.id)
            if current.state is State.PENDING:
                if examined is None:
                    raise UploadMissing(asset.id)
                await store.change(examined, now=self.ambient.now())
                current = examined
        await self._remove(asset.quarantine_key)
        if current.state is not State.READY:
            await self._remove(asset.object_key)
        return current

    async def _promote_or_reject(self, asset: Asset) -> Asset:
        async with self.verifier.verify(asset.quarantine_key, asset.contents) as examined:
            if isinstance(examined, Flaw):
                return asset.reject(examined)
            return await self._keep(asset, examined)

    async def _promote(self, asset: Asset, source_key: str) -> Asset:
        try:
            async with self.verifier.verify(source_key, asset.contents) as examined:
                if isinstance(examined, Flaw):
                    raise UploadRejected(asset.id, detail=examined)
                return await self._keep(asset, examined)
        except ObjectMissing:
            raise UploadMissing(asset.id) from None

    async def _keep(self, asset: Asset, verified: Verified) -> Asset:
        # The verified bytes themselves are written: a copy inside the store would trust that
        # the source has not changed since it was read.
        await self.objects.put(
            asset.object_key,
            verified.file.read_bytes(),
            content_type=asset.contents.content_type,
        )
        return asset.accept(verified.dimensions)

    async def _remove(self, *keys: str) -> None:
        # Best effort after the commit; the sweeper removes what stays.
        for key in keys:
            await attempt("assets-remove-object", self.objects.delete(key))


def _owned(asset: Asset | None, org_id: uuid.UUID, asset_id: uuid.UUID) -> Asset:
    if asset is None or asset.org_id != org_id:
        raise AssetNotFound(asset_id)
    return asset
