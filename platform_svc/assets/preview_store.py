"""Every statement on previews; never commits."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.assets.preview import Preview, PreviewKind
from platform_svc.assets.tables import PreviewRow


@dataclass(frozen=True, slots=True)
class PreviewStore:
    """Reads and writes previews in the caller's transaction."""

    session: AsyncSession

    async def write(self, previews: Sequence[Preview]) -> None:
        """Write previews, in the place of those of the same kinds."""
        if not previews:
            return
        rows = insert(PreviewRow).values([asdict(preview) for preview in previews])
        new = {name: rows.excluded[name] for name in ("width", "height", "size_bytes")}
        await self.session.execute(
            rows.on_conflict_do_update(index_elements=["asset_id", "kind"], set_=new)
        )

    async def of(self, asset_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[Preview]]:
        """Give the previews of assets, by asset."""
        rows = await self.session.scalars(
            sa.select(PreviewRow)
            .where(PreviewRow.asset_id.in_(asset_ids))
            .order_by(PreviewRow.asset_id, PreviewRow.kind.desc())
        )
        found: dict[uuid.UUID, list[Preview]] = defaultdict(list)
        for row in rows:
            found[row.asset_id].append(
                Preview(row.asset_id, PreviewKind(row.kind), row.width, row.height, row.size_bytes)
            )
        return found

    async def remove(self, asset_id: uuid.UUID, kind: PreviewKind | None = None) -> None:
        """Drop the rows of an asset's previews, or of one kind."""
        statement = sa.delete(PreviewRow).where(PreviewRow.asset_id == asset_id)
        if kind is not None:
            statement = statement.where(PreviewRow.kind == kind)
        await self.session.execute(statement)
