"""Compares the rows of assets and previews with the objects of the store, in one pass over both."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.object_store import ObjectInfo, ObjectStore
from platform_svc.assets.asset import PREVIEWS_PREFIX, READY_PREFIX, Asset, State
from platform_svc.assets.orphan import Finding, OrphanKind
from platform_svc.assets.preview import preview_key
from platform_svc.assets.preview_store import PreviewStore
from platform_svc.assets.store import WITHOUT_BYTES, AssetStore

BATCH: Final = 500
FINDINGS_MAX: Final = 10_000
# An object is written before its row, so a young one may still get it.
YOUNG: Final = timedelta(hours=1)
KEY_PARTS: Final = {READY_PREFIX: 3, PREVIEWS_PREFIX: 4}


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that says that there is an object."""

    key: str
    kind: OrphanKind
    asset: Asset
    size_bytes: int


@dataclass(slots=True)
class Compared:
    """What was looked at and found; `found_again` are lost assets whose object is there."""

    objects_count: int = 0
    claims_count: int = 0
    findings: list[Finding] = field(default_factory=list)
    found_again: list[Asset] = field(default_factory=list)

    def of(self, *kinds: OrphanKind) -> list[Finding]:
        """Give the findings of these kinds."""
        return [one for one in self.findings if one.kind in kinds]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Reads both sides; what differs is looked at once more by itself, since both go on."""

    sessions: async_sessionmaker[AsyncSession]
    objects: ObjectStore
    ambient: Ambient

    async def compare(self) -> Compared:
        """Compare everything; 10,000 findings at most."""
        compared = Compared()
        for prefix, claims in (
            (READY_PREFIX, self._assets()),
            (PREVIEWS_PREFIX, self._previews()),
        ):
            async for info, claim in merged(self.objects.list(prefix), claims):
                await self._look(compared, info, claim)
                if len(compared.findings) >= FINDINGS_MAX:
                    return compared
        return compared

    async def is_missing(self, claim: Claim) -> bool:
        """Whether an object is absent or of another length, and its row still claims it."""
        info = await self.objects.head(claim.key)
        if info is not None and info.size_bytes == claim.size_bytes:
            return False
        async with self.sessions() as session:
            asset = await AssetStore(session).find(claim.asset.id)
        return asset is not None and asset.state in {State.READY, State.TRASHED}

    async def is_unclaimed(self, key: str) -> bool:
        """Whether no row knows an object, and none will take it away either."""
        parts = key.split("/")
        asset_id = _uuid(parts[2]) if len(parts) == KEY_PARTS[f"{parts[0]}/"] else None
        if asset_id is None:
            return True
        async with self.sessions() as session:
            asset = await AssetStore(session).find(asset_id)
            previews = (await PreviewStore(session).of([asset_id])).get(asset_id, [])
        if asset is None or asset.state is State.PENDING:
            return True
        if asset.state in WITHOUT_BYTES:
            return False  # The sweeper removes it.
        return key not in {asset.object_key, *(preview_key(asset, one.kind) for one in previews)}

    async def _look(self, compared: Compared, info: ObjectInfo | None, claim: Claim | None) -> None:
        compared.objects_count += info is not None
        compared.claims_count += claim is not None
        if claim is None:
            assert info is not None
            is_old = info.modified_at <= self.ambient.now() - YOUNG
            if is_old and await self.is_unclaimed(info.key):
                compared.findings.append(
                    Finding(info.key, OrphanKind.OBJECT, None, info.size_bytes)
                )
            return
        is_there = info is not None and info.size_bytes == claim.size_bytes
        if claim.asset.state is State.LOST:
            if is_there and claim.kind is OrphanKind.ASSET:
                compared.found_again.append(claim.asset)
        elif not is_there and await self.is_missing(claim):
            compared.findings.append(
                Finding(claim.key, claim.kind, claim.asset.id, claim.size_bytes)
            )

    async def _assets(self) -> AsyncIterator[Claim]:
        async for batch in self._batches():
            for asset in batch:
                yield claim_of(asset)

    async def _previews(self) -> AsyncIterator[Claim]:
        async for batch in self._batches():
            async with self.sessions() as session:
                previews = await PreviewStore(session).of([asset.id for asset in batch])
            for asset in batch:
                claims = [
                    Claim(preview_key(asset, one.kind), OrphanKind.PREVIEW, asset, one.size_bytes)
                    for one in previews.get(asset.id, ())
                ]
                for claim in sorted(claims, key=lambda claim: claim.key):
                    yield claim

    async def _batches(self) -> AsyncIterator[list[Asset]]:
        place: tuple[uuid.UUID, uuid.UUID] | None = None
        while True:
            async with self.sessions() as session:
                batch = await AssetStore(session).stored_after(place, count=BATCH)
            if batch:
                yield batch
                place = (batch[-1].org_id, batch[-1].id)
            if len(batch) < BATCH:
                return


def claim_of(asset: Asset) -> Claim:
    """Give what the row of an asset says of its object."""
    return Claim(asset.object_key, OrphanKind.ASSET, asset, asset.contents.size_bytes)


async def merged(
    objects: AsyncIterator[ObjectInfo], claims: AsyncIterator[Claim]
) -> AsyncIterator[tuple[ObjectInfo | None, Claim | None]]:
    """Give objects and claims by key, those of the same key together; both must be in order."""
    info = await anext(objects, None)
    claim = await anext(claims, None)
    while info is not None or claim is not None:
        if claim is None or (info is not None and info.key < claim.key):
            yield info, None
            info = await anext(objects, None)
        elif info is None or claim.key < info.key:
            yield None, claim
            claim = await anext(claims, None)
        else:
            yield info, claim
            info = await anext(objects, None)
            claim = await anext(claims, None)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
