"""Facts that must hold between rows, objects and counters, as queries that give the offenders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.object_store import ObjectStore
from platform_svc.assets.comparison import Compared, Comparison
from platform_svc.assets.orphan import OrphanKind
from platform_svc.assets.usage_store import UsageStore

OFFENDERS_MAX: Final = 100
OF_KIND: Final = {
    "ready_without_object": OrphanKind.ASSET,
    "object_without_asset": OrphanKind.OBJECT,
    "preview_without_object": OrphanKind.PREVIEW,
}
MISCOUNTED: Final = "usage_is_the_sum_of_the_assets"
NAMES: Final = (*OF_KIND, MISCOUNTED)


async def ready_without_object(
    sessions: async_sessionmaker[AsyncSession], objects: ObjectStore
) -> list[str]:
    """Give up to 100 keys of ready or trashed assets without an object of their length."""
    compared = await Comparison(sessions, objects, Ambient()).compare()
    return _keys(compared, OrphanKind.ASSET)


async def miscounted(sessions: async_sessionmaker[AsyncSession]) -> list[str]:
    """Give up to 100 organizations whose counters are not the sums over their assets."""
    async with sessions() as session:
        return [str(org_id) for org_id in await UsageStore(session).miscounted()]


async def offenders(
    sessions: async_sessionmaker[AsyncSession], compared: Compared
) -> Mapping[str, Sequence[str]]:
    """Give the offenders of the invariants that do not hold, up to 100 of each."""
    found = {name: _keys(compared, kind) for name, kind in OF_KIND.items()}
    found[MISCOUNTED] = await miscounted(sessions)
    return {name: one for name, one in found.items() if one}


def _keys(compared: Compared, kind: OrphanKind) -> list[str]:
    return [finding.key for finding in compared.of(kind)][:OFFENDERS_MAX]
