"""Facts that must hold between rows and objects, as queries that give the offenders."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.object_store import ObjectStore
from platform_svc.assets.asset import READY_PREFIX, State
from platform_svc.assets.store import AssetStore

OFFENDERS_MAX: Final = 100
BATCH: Final = 200
# An object is written before its row, so a young one may still get it.
YOUNG: Final = timedelta(hours=1)


async def ready_without_object(
    sessions: async_sessionmaker[AsyncSession], objects: ObjectStore
) -> list[str]:
    """Give up to 100 ids of ready assets whose object is absent or of another length."""
    offenders: list[str] = []
    last: uuid.UUID | None = None
    while len(offenders) < OFFENDERS_MAX:
        async with sessions() as session:
            assets = await AssetStore(session).ready_after(last, count=BATCH)
        for asset in assets:
            info = await objects.head(asset.object_key)
            if info is None or info.size_bytes != asset.contents.size_bytes:
                # Deleted since the batch was read is no offence.
                async with sessions() as session:
                    now = await AssetStore(session).find(asset.id)
                if now is not None and now.state is State.READY:
                    offenders.append(str(asset.id))
        if len(assets) < BATCH:
            break
        last = assets[-1].id
    return offenders[:OFFENDERS_MAX]


async def object_without_asset(
    sessions: async_sessionmaker[AsyncSession], objects: ObjectStore, *, now: datetime
) -> list[str]:
    """Give up to 100 keys of objects, an hour old or more, that no ready asset claims.

    Objects of deleted assets that the sweeper has yet to remove are no offence.
    """
    offenders: list[str] = []
    async for info in objects.list(READY_PREFIX):
        if info.modified_at > now - YOUNG:
            continue
        if not await _is_claimed(sessions, info.key):
            offenders.append(info.key)
        if len(offenders) == OFFENDERS_MAX:
            break
    return offenders


async def _is_claimed(sessions: async_sessionmaker[AsyncSession], key: str) -> bool:
    try:
        asset_id = uuid.UUID(key.rsplit("/", 1)[1])
    except ValueError:
        return False
    async with sessions() as session:
        asset = await AssetStore(session).find(asset_id)
    return asset is not None and asset.object_key == key and asset.state is not State.PENDING
