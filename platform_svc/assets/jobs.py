"""Background work of the assets service: removes what nobody will use and makes what is missing."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.multipart import MultipartUploads
from meshkit.object_store import ObjectMissing, ObjectStore
from meshkit.tasks import attempt, periodic
from platform_svc.assets.asset import QUARANTINE_PREFIX, RESULTS_PREFIX, Asset, Flaw, State
from platform_svc.assets.preview import Preview, preview_keys
from platform_svc.assets.preview_store import PreviewStore
from platform_svc.assets.promotion import Promotion, record_previews
from platform_svc.assets.share_store import ShareStore
from platform_svc.assets.shelf import Shelf
from platform_svc.assets.store import AssetStore

TASK: Final = "assets-sweeper"
# A completion that began just before the end of an upload may still be at work.
GRACE: Final = timedelta(minutes=15)
QUARANTINE_LIFETIME: Final = timedelta(hours=1) + GRACE
TOMBSTONE_LIFETIME: Final = timedelta(days=30)
# Longer than any job with its repeats: what nobody imported until then belongs to no run.
RESULT_LIFETIME: Final = timedelta(days=2)
BATCH_MAX: Final = 100
PREVIEWS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Removes uploads that never came, what lay long in the trash, and bytes without a use."""

    sessions: async_sessionmaker[AsyncSession]
    objects: ObjectStore
    multiparts: MultipartUploads
    promotion: Promotion
    ambient: Ambient
    interval: timedelta

    async def run(self) -> None:
        """Sweep at each interval; a part that fails holds up no other."""

        async def sweep() -> None:
            for part in self._parts():
                await attempt(TASK, part())

        await periodic(TASK, self.interval.total_seconds(), sweep)

    async def sweep(self) -> None:
        """Do all of it once; any part may be repeated."""
        for part in self._parts():
            await part()

    async def abandon_uploads(self) -> int:
        """Delete the assets whose upload ended without a completion and say how many."""
        abandoned = 0
        while True:
            now = self.ambient.now()
            async with self.sessions() as session:
                assets = await AssetStore(session).abandoned(
                    ended_before=now - GRACE, count=BATCH_MAX
                )
            for asset in assets:
                abandoned += await self._abandon(asset)
            if len(assets) < BATCH_MAX:
                return abandoned

    async def purge_trash(self) -> int:
        """Remove what has lain in the trash for its time and say how many assets it was."""
        purged = 0
        while True:
            now = self.ambient.now()
            async with self.sessions() as session:
                orgs = await AssetStore(session).orgs_with_due_trash(now=now, count=BATCH_MAX)
            for org_id in orgs:
                async with self.sessions.begin() as session:
                    shelf = await Shelf.lock(session, org_id)
                    purged += await shelf.purge(now=now, due_at=now)
            if len(orgs) < BATCH_MAX:
                return purged

    async def forget(self) -> None:
        """Drop the rows of assets and links that were over for a month."""
        before = self.ambient.now() - TOMBSTONE_LIFETIME
        async with self.sessions.begin() as session:
            await AssetStore(session).forget_deleted(before=before)
            await ShareStore(session).forget(over_before=before)

    async def remove_bytes(self) -> int:
        """Remove the objects of deleted and rejected assets; say of how many."""
        removed = 0
        while True:
            now = self.ambient.now()
            async with self.sessions() as session:
                assets = await AssetStore(session).removable(
                    ended_before=now - GRACE, count=BATCH_MAX
                )
            for asset in assets:
                await self._remove_bytes(asset)
            removed += len(assets)
            if len(assets) < BATCH_MAX:
                return removed

    async def remove_quarantined(self) -> int:
        """Remove old objects of uploads that are over; say how many."""
        removed = 0
        async for key in self._old(QUARANTINE_PREFIX, QUARANTINE_LIFETIME):
            if not await self._is_awaited(key, None):
                await self.objects.delete(key)
                removed += 1
        return removed

    async def drop_parts(self) -> int:
        """End the store's uploads in parts that no pending asset knows; say how many."""
        before = self.ambient.now() - QUARANTINE_LIFETIME
        strays = [
            one
            async for one in self.multiparts.unfinished(QUARANTINE_PREFIX)
            if one.begun_at < before and not await self._is_awaited(one.key, one.upload_id)
        ]
        for stray in strays:
            await self.multiparts.abort(stray.key, stray.upload_id)
        return len(strays)

    async def remove_results(self) -> int:
        """Remove old results that nobody imported; say how many."""
        old = [key async for key in self._old(RESULTS_PREFIX, RESULT_LIFETIME)]
        for key in old:
            await self.objects.delete(key)
        return len(old)

    async def make_previews(self) -> int:
        """Make the previews of ready assets that have none; say of how many, 20 at most."""
        async with self.sessions() as session:
            assets = await AssetStore(session).without_previews(count=PREVIEWS_MAX)
        for asset in assets:
            await self._make_previews(asset)
        return len(assets)

    def _parts(self) -> Sequence[Callable[[], Awaitable[object]]]:
        return (
            self.abandon_uploads,
            self.purge_trash,
            self.forget,
            self.remove_bytes,
            self.remove_quarantined,
            self.drop_parts,
            self.remove_results,
            self.make_previews,
        )

    async def _abandon(self, asset: Asset) -> bool:
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, asset.org_id)
            current = await shelf.find(asset.id)
            is_pending = current.state is State.PENDING
            if is_pending:
                await shelf.change(current, current.remove(), now=self.ambient.now())
        return is_pending

    async def _remove_bytes(self, asset: Asset) -> None:
        if asset.plan is not None and asset.plan.upload_id is not None:
            await self.multiparts.abort(asset.quarantine_key, asset.plan.upload_id)
        for key in (asset.object_key, asset.quarantine_key, *preview_keys(asset)):
            await self.objects.delete(key)
        async with self.sessions.begin() as session:
            await PreviewStore(session).remove(asset.id)
            await AssetStore(session).note_removed(asset.id, now=self.ambient.now())

    async def _old(self, prefix: str, lifetime: timedelta) -> AsyncIterator[str]:
        before = self.ambient.now() - lifetime
        # Listed to the end first: a listing that shrinks under way may leave things out.
        old = [info.key async for info in self.objects.list(prefix) if info.modified_at < before]
        for key in old:
            yield key

    async def _is_awaited(self, key: str, upload_id: str | None) -> bool:
        """Whether a pending asset waits for what lies under a key of the quarantine."""
        try:
            asset_id = uuid.UUID(key.rsplit("/", 1)[1])
        except ValueError:
            return False
        async with self.sessions() as session:
            asset = await AssetStore(session).find(asset_id)
        if asset is None or asset.state is not State.PENDING:
            return False
        known = asset.plan.upload_id if asset.plan else None
        return upload_id is None or upload_id == known

    async def _make_previews(self, asset: Asset) -> None:
        previews: list[Preview] = []
        try:
            async with self.promotion.verifier.verify(asset.object_key, asset.contents) as verified:
                if not isinstance(verified, Flaw):
                    previews = await self.promotion.keep_previews(asset, verified.probed.pictures)
        except ObjectMissing:
            pass  # The comparison reports it; once it is there again it is tried again.
        async with self.sessions.begin() as session:
            current = await AssetStore(session).find(asset.id, lock=True)
            if current is not None and current.state is State.READY:
                await record_previews(session, asset.id, previews, now=self.ambient.now())
