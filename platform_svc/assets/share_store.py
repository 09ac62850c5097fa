"""Every statement on share links; never commits."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.assets.share import ShareLink
from platform_svc.assets.tables import ShareLinkRow


@dataclass(frozen=True, slots=True)
class ShareStore:
    """Reads and writes share links in the caller's transaction."""

    session: AsyncSession

    async def add(self, link: ShareLink) -> None:
        """Insert a link."""
        await self.session.execute(sa.insert(ShareLinkRow).values(**asdict(link)))

    async def find(self, link_id: uuid.UUID, *, lock: bool = False) -> ShareLink | None:
        """Give a link; `lock` holds it until the transaction ends."""
        query = sa.select(ShareLinkRow).where(ShareLinkRow.id == link_id)
        row = await self.session.scalar(query.with_for_update() if lock else query)
        return None if row is None else _link(row)

    async def of(self, asset_id: uuid.UUID) -> list[ShareLink]:
        """Give an asset's links, newest first."""
        rows = await self.session.scalars(
            sa.select(ShareLinkRow)
            .where(ShareLinkRow.asset_id == asset_id)
            .order_by(ShareLinkRow.created_at.desc(), ShareLinkRow.id.desc())
        )
        return [_link(row) for row in rows]

    async def count(self, asset_id: uuid.UUID) -> int:
        """Give how many links an asset has."""
        query = sa.select(sa.func.count()).where(ShareLinkRow.asset_id == asset_id)
        return await self.session.scalar(query) or 0

    async def change(self, link: ShareLink) -> None:
        """Write what may change of a link."""
        await self.session.execute(
            sa.update(ShareLinkRow)
            .where(ShareLinkRow.id == link.id)
            .values(downloads_count=link.downloads_count, revoked_at=link.revoked_at)
        )

    async def forget(self, *, over_before: datetime) -> int:
        """Drop the links that expired or were revoked before then; say how many."""
        gone = await self.session.scalars(
            sa.delete(ShareLinkRow)
            .where(
                sa.or_(ShareLinkRow.expires_at < over_before, ShareLinkRow.revoked_at < over_before)
            )
            .returning(ShareLinkRow.id)
        )
        return len(gone.all())


def _link(row: ShareLinkRow) -> ShareLink:
    return ShareLink(
        id=row.id,
        org_id=row.org_id,
        asset_id=row.asset_id,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        downloads_max=row.downloads_max,
        downloads_count=row.downloads_count,
        revoked_at=row.revoked_at,
    )
