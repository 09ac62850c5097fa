"""Acts on what a comparison of rows and objects has found: carefully, and never all at once."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.object_store import ObjectStore
from platform_svc.assets.asset import Asset, State
from platform_svc.assets.comparison import Compared, Comparison, claim_of
from platform_svc.assets.errors import ReconciliationRunning
from platform_svc.assets.invariants import MISCOUNTED, offenders
from platform_svc.assets.orphan import Orphan, OrphanKind, is_suspicious
from platform_svc.assets.orphan_store import OrphanStore
from platform_svc.assets.preview import PreviewKind
from platform_svc.assets.preview_store import PreviewStore
from platform_svc.assets.shelf import Shelf
from platform_svc.assets.store import AssetStore

# Long enough for a store that is slow to show what was written, or to be put right by somebody.
MISSING_FOR: Final = timedelta(hours=1)
NOTED_AT_ONCE: Final = 500
ACTED_ON_MAX: Final = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What one reconciliation has found and done."""

    compared: Compared
    orphans_count: int
    objects_removed: int
    assets_lost: int
    assets_found: int
    is_withheld: bool


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Keeps the list of orphans and settles those that have been there for long."""

    sessions: async_sessionmaker[AsyncSession]
    objects: ObjectStore
    ambient: Ambient
    orphan_lifetime: timedelta
    running: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def reconcile(self) -> Report:
        """Compare, note and settle, once.

        Objects that were orphans for `orphan_lifetime` are removed, and assets whose object was
        missing for an hour are lost, unless there are suspiciously many. Previews without an
        object are made anew, and lost assets whose object is there again are ready.

        Raises:
            ReconciliationRunning: this process is at it already.
        """
        if self.running.locked():
            raise ReconciliationRunning
        async with self.running:
            return await self._reconcile()

    async def offenders(self) -> Mapping[str, Sequence[str]]:
        """Reconcile, count anew, and give the offenders of the invariants that did not hold."""
        report = await self.reconcile()
        found = await offenders(self.sessions, report.compared)
        for org_id in found.get(MISCOUNTED, ()):
            async with self.sessions.begin() as session:
                await (await Shelf.lock(session, uuid.UUID(org_id))).recount()
        return found

    @property
    def comparison(self) -> Comparison:
        """What reads both sides."""
        return Comparison(self.sessions, self.objects, self.ambient)

    async def _reconcile(self) -> Report:
        began = self.ambient.now()
        compared = await self.comparison.compare()
        await self._note(compared, began)
        strays = compared.of(OrphanKind.OBJECT)
        missing = compared.of(OrphanKind.ASSET)
        withheld_strays = is_suspicious(len(strays), compared.objects_count)
        withheld_missing = is_suspicious(len(missing), compared.claims_count)
        if withheld_strays or withheld_missing:
            _log.error(
                "too many orphans: nothing is settled",
                extra={"objects": len(strays), "assets": len(missing)},
            )
        removed = lost = 0
        if not withheld_strays:
            removed = await self._settle(OrphanKind.OBJECT, self.orphan_lifetime, self._remove)
        if not withheld_missing:
            lost = await self._settle(OrphanKind.ASSET, MISSING_FOR, self._lose)
        await self._settle(OrphanKind.PREVIEW, timedelta(0), self._forget_preview)
        found = [await self._recover(asset) for asset in compared.found_again]
        async with self.sessions() as session:
            left = await OrphanStore(session).count()
        return Report(
            compared, left, removed, lost, sum(found), withheld_strays or withheld_missing
        )

    async def _note(self, compared: Compared, began: datetime) -> None:
        findings = compared.findings
        for start in range(0, len(findings), NOTED_AT_ONCE):
            async with self.sessions.begin() as session:
                part = findings[start : start + NOTED_AT_ONCE]
                await OrphanStore(session).note(part, now=self.ambient.now())
        async with self.sessions.begin() as session:
            await OrphanStore(session).forget(unseen_since=began)

    async def _settle(
        self, kind: OrphanKind, age: timedelta, act: Callable[[Orphan], Awaitable[bool]]
    ) -> int:
        before = self.ambient.now() - age
        async with self.sessions() as session:
            due = await OrphanStore(session).due(kind, found_before=before, count=ACTED_ON_MAX)
        settled = [orphan.finding.key for orphan in due if await act(orphan)]
        async with self.sessions.begin() as session:
            await OrphanStore(session).drop(settled)
        if settled:
            _log.warning("orphans settled", extra={"kind": kind, "keys": settled[:NOTED_AT_ONCE]})
        return len(settled)

    async def _remove(self, orphan: Orphan) -> bool:
        if not await self.comparison.is_unclaimed(orphan.finding.key):
            return False
        await self.objects.delete(orphan.finding.key)
        return True

    async def _lose(self, orphan: Orphan) -> bool:
        assert orphan.finding.asset_id is not None
        async with self.sessions() as session:
            asset = await AssetStore(session).find(orphan.finding.asset_id)
        if asset is None or not await self.comparison.is_missing(claim_of(asset)):
            return False
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, asset.org_id)
            current = await shelf.find(asset.id)
            if current.state not in {State.READY, State.TRASHED}:
                return False
            await shelf.change(current, current.lose(), now=self.ambient.now())
        return True

    async def _forget_preview(self, orphan: Orphan) -> bool:
        assert orphan.finding.asset_id is not None
        kind = PreviewKind(orphan.finding.key.rsplit("/", 1)[1].partition(".")[0])
        async with self.sessions.begin() as session:
            await PreviewStore(session).remove(orphan.finding.asset_id, kind)
            await AssetStore(session).note_previewed(orphan.finding.asset_id, at=None)
        return True

    async def _recover(self, asset: Asset) -> bool:
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, asset.org_id)
            current = await shelf.find(asset.id)
            if current.state is not State.LOST:
                return False
            await shelf.change(current, current.recover(), now=self.ambient.now())
            await AssetStore(session).note_previewed(asset.id, at=None)
        return True
