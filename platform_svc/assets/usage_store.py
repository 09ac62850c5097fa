"""Every statement on what organizations store; never commits."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.assets.asset import State
from platform_svc.assets.tables import AssetRow, UsageRow
from platform_svc.assets.usage import COUNTERS, OwnQuota, Usage

OFFENDERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class UsageStore:
    """Reads and writes the counters in the caller's transaction."""

    session: AsyncSession

    async def find(self, org_id: uuid.UUID) -> Usage:
        """Give what an organization stores."""
        row = await self.session.get(UsageRow, org_id)
        return Usage(org_id) if row is None else _usage(row)

    async def lock(self, org_id: uuid.UUID) -> Usage:
        """Give what an organization stores, and hold it until the transaction ends."""
        await self.session.execute(insert(UsageRow).values(org_id=org_id).on_conflict_do_nothing())
        row = await self.session.scalar(
            sa.select(UsageRow).where(UsageRow.org_id == org_id).with_for_update()
        )
        assert row is not None
        return _usage(row)

    async def write(self, usage: Usage) -> None:
        """Write counters and bounds."""
        await self.session.execute(
            sa.update(UsageRow).where(UsageRow.org_id == usage.org_id).values(**_values(usage))
        )

    async def counted(self, org_id: uuid.UUID) -> Usage:
        """Give what an organization's assets add up to; its bounds are left out."""
        row = (await self.session.execute(_sums().where(AssetRow.org_id == org_id))).one_or_none()
        return Usage(org_id) if row is None else Usage(*row)

    async def miscounted(self) -> list[uuid.UUID]:
        """Give up to 100 organizations whose counters are not the sums over their assets."""
        sums = _sums().subquery()
        names = [*COUNTERS.values(), "assets_count"]
        differs = sa.or_(
            *(
                sa.func.coalesce(getattr(UsageRow, name), 0)
                != sa.func.coalesce(getattr(sums.c, name), 0)
                for name in names
            )
        )
        org_id = sa.func.coalesce(UsageRow.org_id, sums.c.org_id)
        both = sa.outerjoin(UsageRow.__table__, sums, UsageRow.org_id == sums.c.org_id, full=True)
        found = await self.session.scalars(
            sa.select(org_id).select_from(both).where(differs).limit(OFFENDERS_MAX)
        )
        return list(found)


def _sums() -> sa.Select[*tuple[Any, ...]]:
    def sum_of(state: State) -> sa.ColumnElement[int]:
        total = sa.func.sum(AssetRow.size_bytes).filter(AssetRow.state == state)
        return sa.func.coalesce(total, 0).cast(sa.BigInteger).label(COUNTERS[state])

    counts = AssetRow.state.in_(list(COUNTERS))
    return sa.select(
        AssetRow.org_id,
        *(sum_of(state) for state in COUNTERS),
        sa.func.count().filter(counts).label("assets_count"),
    ).group_by(AssetRow.org_id)


def _values(usage: Usage) -> dict[str, Any]:
    return {
        "reserved_bytes": usage.reserved_bytes,
        "ready_bytes": usage.ready_bytes,
        "trashed_bytes": usage.trashed_bytes,
        "assets_count": usage.assets_count,
        "bytes_max": usage.own_quota.bytes_max,
        "assets_max": usage.own_quota.assets_max,
    }


def _usage(row: UsageRow) -> Usage:
    return Usage(
        org_id=row.org_id,
        reserved_bytes=row.reserved_bytes,
        ready_bytes=row.ready_bytes,
        trashed_bytes=row.trashed_bytes,
        assets_count=row.assets_count,
        own_quota=OwnQuota(row.bytes_max, row.assets_max),
    )
