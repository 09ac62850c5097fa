"""Every statement on orphans; never commits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.assets.orphan import Finding, Orphan, OrphanKind
from platform_svc.assets.tables import OrphanRow


@dataclass(frozen=True, slots=True)
class OrphanStore:
    """Reads and writes orphans in the caller's transaction."""

    session: AsyncSession

    async def note(self, findings: Sequence[Finding], *, now: datetime) -> None:
        """Write what was found; what was known keeps the time when it was found first.

        A key that is now of another kind begins anew.
        """
        if not findings:
            return
        rows = insert(OrphanRow).values(
            [{**asdict(one), "found_at": now, "seen_at": now} for one in findings]
        )
        known = sa.case(
            (OrphanRow.kind == rows.excluded.kind, OrphanRow.found_at),
            else_=rows.excluded.found_at,
        )
        new = {name: rows.excluded[name] for name in ("kind", "asset_id", "size_bytes", "seen_at")}
        await self.session.execute(
            rows.on_conflict_do_update(index_elements=["key"], set_={**new, "found_at": known})
        )

    async def forget(self, *, unseen_since: datetime) -> None:
        """Drop what was not seen again since then."""
        await self.session.execute(sa.delete(OrphanRow).where(OrphanRow.seen_at < unseen_since))

    async def drop(self, keys: Collection[str]) -> None:
        """Drop what is settled."""
        await self.session.execute(sa.delete(OrphanRow).where(OrphanRow.key.in_(keys)))

    async def due(self, kind: OrphanKind, *, found_before: datetime, count: int) -> list[Orphan]:
        """Give orphans of a kind that were found before then, the oldest first."""
        rows = await self.session.scalars(
            sa.select(OrphanRow)
            .where(OrphanRow.kind == kind, OrphanRow.found_at <= found_before)
            .order_by(OrphanRow.found_at, OrphanRow.key)
            .limit(count)
        )
        return [_orphan(row) for row in rows]

    async def page(self, *, after: str, count: int) -> list[Orphan]:
        """Give orphans by key, beginning after one."""
        rows = await self.session.scalars(
            sa.select(OrphanRow).where(OrphanRow.key > after).order_by(OrphanRow.key).limit(count)
        )
        return [_orphan(row) for row in rows]

    async def count(self) -> int:
        """Give how many there are."""
        return await self.session.scalar(sa.select(sa.func.count()).select_from(OrphanRow)) or 0


def _orphan(row: OrphanRow) -> Orphan:
    finding = Finding(row.key, OrphanKind(row.kind), row.asset_id, row.size_bytes)
    return Orphan(finding, row.found_at, row.seen_at)
