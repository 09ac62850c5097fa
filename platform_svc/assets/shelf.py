"""The assets of one organization in one transaction: rows and what they take up change together."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Self

from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.assets.asset import Asset, State
from platform_svc.assets.errors import AssetNotFound
from platform_svc.assets.store import AssetStore
from platform_svc.assets.usage import OwnQuota, Quota, Usage
from platform_svc.assets.usage_store import UsageStore


class Shelf:
    """Holds an organization's counters until the transaction ends; they come before any asset."""

    def __init__(self, session: AsyncSession, usage: Usage) -> None:
        self._assets = AssetStore(session)
        self._counters = UsageStore(session)
        self._usage = usage

    @classmethod
    async def lock(cls, session: AsyncSession, org_id: uuid.UUID) -> Self:
        """Wait for the organization's turn; must come before any lock on its assets."""
        return cls(session, await UsageStore(session).lock(org_id))

    @property
    def usage(self) -> Usage:
        """What the organization stores now."""
        return self._usage

    def check_room(self, size_bytes: int, default: Quota) -> None:
        """Refuse what the organization has no room for. Raises as `Usage.check_room` does."""
        self._usage.check_room(size_bytes, default)

    async def find(self, asset_id: uuid.UUID) -> Asset:
        """Give an asset of the organization in whatever state.

        Raises:
            AssetNotFound: the organization has no such asset.
        """
        asset = await self._assets.find(asset_id, lock=True)
        if asset is None or asset.org_id != self._usage.org_id:
            raise AssetNotFound(asset_id)
        return asset

    async def add(self, asset: Asset) -> bool:
        """Add an asset; False if its id is taken."""
        added = await self._assets.add(asset)
        if added:
            await self._move(None, asset.state, asset.contents.size_bytes)
        return added

    async def change(self, before: Asset, after: Asset, *, now: datetime) -> Asset:
        """Write what has changed of an asset that `find` gave, and give it back."""
        await self._assets.change(after, now=now)
        await self._move(before.state, after.state, after.contents.size_bytes)
        return after

    async def purge(self, *, now: datetime, due_at: datetime | None = None) -> int:
        """Remove what lies in the trash, or only what is due then, and say how many it was."""
        count, size_bytes = await self._assets.purge(self._usage.org_id, now=now, due_at=due_at)
        await self._move(State.TRASHED, State.DELETED, size_bytes, count=count)
        return count

    async def bound(self, quota: OwnQuota) -> Usage:
        """Give the organization bounds of its own."""
        return await self._write(replace(self._usage, own_quota=quota))

    async def recount(self) -> Usage:
        """Set the counters to what the assets add up to."""
        counted = await self._counters.counted(self._usage.org_id)
        return await self._write(replace(counted, own_quota=self._usage.own_quota))

    async def _move(
        self, before: State | None, after: State, size_bytes: int, *, count: int = 1
    ) -> None:
        if before is not after:
            await self._write(self._usage.moved(before, after, size_bytes, count=count))

    async def _write(self, usage: Usage) -> Usage:
        await self._counters.write(usage)
        self._usage = usage
        return usage
