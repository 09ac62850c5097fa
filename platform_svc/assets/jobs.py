"""Background work of the assets service: removes what nobody will use and checks the rest."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.object_store import ObjectStore
from meshkit.tasks import periodic
from platform_svc.assets.asset import QUARANTINE_PREFIX, RESULTS_PREFIX
from platform_svc.assets.invariants import object_without_asset, ready_without_object
from platform_svc.assets.store import AssetStore

# A completion that began just before the end of an upload may still be at work.
GRACE: Final = timedelta(minutes=15)
TOMBSTONE_LIFETIME: Final = timedelta(days=30)
# Longer than any job with its repeats: what nobody imported until then belongs to no run.
RESULT_LIFETIME: Final = timedelta(days=2)
BATCH_MAX: Final = 100

OFFENDERS: Final = Gauge(
    "reelmesh_assets_offenders", "Assets or objects that break an invariant", ["invariant"]
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Removes uploads that never came, bytes of deleted assets and objects without a use."""

    sessions: async_sessionmaker[AsyncSession]
    objects: ObjectStore
    ambient: Ambient
    interval: timedelta

    async def run(self) -> None:
        """Sweep at each interval."""
        await periodic("assets-sweeper", self.interval.total_seconds(), self.sweep)

    async def sweep(self) -> None:
        """Do all of it once; any part may be repeated."""
        await self.abandon_uploads()
        await self.remove_bytes()
        await self.remove_old(QUARANTINE_PREFIX, older_than=timedelta(hours=1) + GRACE)
        await self.remove_old(RESULTS_PREFIX, older_than=RESULT_LIFETIME)
        async with self.sessions.begin() as session:
            before = self.ambient.now() - TOMBSTONE_LIFETIME
            await AssetStore(session).forget_deleted(before=before)

    async def abandon_uploads(self) -> int:
        """Delete the assets whose upload ended without a completion and say how many."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            return await AssetStore(session).abandon_uploads(ended_before=now - GRACE, now=now)

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
                await self.objects.delete(asset.object_key)
                await self.objects.delete(asset.quarantine_key)
                async with self.sessions.begin() as session:
                    await AssetStore(session).note_removed(asset.id, now=now)
            removed += len(assets)
            if len(assets) < BATCH_MAX:
                return removed

    async def remove_old(self, prefix: str, *, older_than: timedelta) -> int:
        """Remove the objects under a prefix that are older than that; say how many."""
        before = self.ambient.now() - older_than
        old = [info.key async for info in self.objects.list(prefix) if info.modified_at < before]
        for key in old:
            await self.objects.delete(key)
        return len(old)


@dataclass(frozen=True, slots=True)
class InvariantCheck:
    """Looks for offenders and shows their number as a metric and in the log."""

    sessions: async_sessionmaker[AsyncSession]
    objects: ObjectStore
    ambient: Ambient
    interval: timedelta

    async def run(self) -> None:
        """Check at each interval."""
        await periodic("assets-invariants", self.interval.total_seconds(), self.check)

    async def check(self) -> dict[str, list[str]]:
        """Give the offenders of each invariant."""
        found = {
            "ready_without_object": await ready_without_object(self.sessions, self.objects),
            "object_without_asset": await object_without_asset(
                self.sessions, self.objects, now=self.ambient.now()
            ),
        }
        for invariant, offenders in found.items():
            OFFENDERS.labels(invariant=invariant).set(len(offenders))
            if offenders:
                _log.error(
                    "an invariant is broken",
                    extra={"invariant": invariant, "offenders": offenders},
                )
        return found
