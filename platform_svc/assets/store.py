"""Every statement on the assets schema; never commits."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.assets.asset import (
    Asset,
    Contents,
    Dimensions,
    Flaw,
    PartsPlan,
    State,
    Trashed,
)
from platform_svc.assets.tables import AssetRow

LISTED = (State.PENDING, State.READY)
WITHOUT_BYTES = (State.DELETED, State.REJECTED)
STORED = (State.READY, State.TRASHED, State.LOST)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after the asset with this time and id, going back in time."""

    created_at: datetime
    id: uuid.UUID


class AssetStore:
    """Reads and writes assets in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, asset: Asset) -> bool:
        """Insert the asset; False if its id is taken."""
        added = await self._session.execute(
            insert(AssetRow)
            .values(
                id=asset.id,
                org_id=asset.org_id,
                filename=asset.contents.filename,
                content_type=asset.contents.content_type,
                size_bytes=asset.contents.size_bytes,
                sha256=asset.contents.sha256,
                run_id=asset.run_id,
                created_at=asset.created_at,
                upload_ends_at=asset.upload_ends_at,
                part_bytes=asset.plan.part_bytes if asset.plan else None,
                **_changing(asset, now=asset.created_at),
            )
            .on_conflict_do_nothing()
            .returning(AssetRow.id)
        )
        return added.first() is not None

    async def find(self, asset_id: uuid.UUID, *, lock: bool = False) -> Asset | None:
        """Give the asset in whatever state; `lock` holds its row until the transaction ends."""
        query = sa.select(AssetRow).where(AssetRow.id == asset_id)
        row = await self._session.scalar(query.with_for_update() if lock else query)
        return _asset(row) if row is not None else None

    async def change(self, asset: Asset, *, now: datetime) -> None:
        """Write what may change of an asset."""
        await self._session.execute(
            sa.update(AssetRow).where(AssetRow.id == asset.id).values(**_changing(asset, now=now))
        )

    async def page(self, org_id: uuid.UUID, *, after: Place | None, count: int) -> list[Asset]:
        """Give the organization's ready and pending assets, newest first."""
        query = (
            sa.select(AssetRow)
            .where(AssetRow.org_id == org_id, AssetRow.state.in_(LISTED))
            .order_by(AssetRow.created_at.desc(), AssetRow.id.desc())
            .limit(count)
        )
        if after is not None:
            key = sa.tuple_(AssetRow.created_at, AssetRow.id)
            query = query.where(key < sa.tuple_(after.created_at, after.id))
        return [_asset(row) for row in await self._session.scalars(query)]

    async def ready(self, org_id: uuid.UUID, asset_ids: Collection[uuid.UUID]) -> list[Asset]:
        """Give those of the assets that are ready and the organization's."""
        rows = await self._session.scalars(
            sa.select(AssetRow).where(
                AssetRow.org_id == org_id,
                AssetRow.id.in_(asset_ids),
                AssetRow.state == State.READY,
            )
        )
        return [_asset(row) for row in rows]

    async def trash(self, org_id: uuid.UUID, *, after: Place | None, count: int) -> list[Asset]:
        """Give what lies in the organization's trash, what was deleted last first."""
        query = (
            sa.select(AssetRow)
            .where(AssetRow.org_id == org_id, AssetRow.state == State.TRASHED)
            .order_by(AssetRow.trashed_at.desc(), AssetRow.id.desc())
            .limit(count)
        )
        if after is not None:
            key = sa.tuple_(AssetRow.trashed_at, AssetRow.id)
            query = query.where(key < sa.tuple_(after.created_at, after.id))
        return [_asset(row) for row in await self._session.scalars(query)]

    async def abandoned(self, *, ended_before: datetime, count: int) -> list[Asset]:
        """Give pending assets whose upload ended before then."""
        rows = await self._session.scalars(
            sa.select(AssetRow)
            .where(AssetRow.state == State.PENDING, AssetRow.upload_ends_at < ended_before)
            .order_by(AssetRow.upload_ends_at)
            .limit(count)
        )
        return [_asset(row) for row in rows]

    async def orgs_with_due_trash(self, *, now: datetime, count: int) -> list[uuid.UUID]:
        """Give organizations with assets whose time in the trash is over."""
        found = await self._session.scalars(
            sa.select(AssetRow.org_id)
            .where(AssetRow.state == State.TRASHED, AssetRow.purge_at <= now)
            .distinct()
            .limit(count)
        )
        return list(found)

    async def purge(
        self, org_id: uuid.UUID, *, now: datetime, due_at: datetime | None
    ) -> tuple[int, int]:
        """Remove what lies in an organization's trash; give how many assets and bytes it was.

        With `due_at` only what is due then.
        """
        statement = sa.update(AssetRow).where(
            AssetRow.org_id == org_id, AssetRow.state == State.TRASHED
        )
        if due_at is not None:
            statement = statement.where(AssetRow.purge_at <= due_at)
        removed = statement.values(
            state=State.DELETED, trashed_at=None, purge_at=None, changed_at=now
        ).returning(AssetRow.size_bytes)
        sizes = (await self._session.scalars(removed)).all()
        return len(sizes), sum(sizes)

    async def begin_parts(self, asset_id: uuid.UUID, upload_id: str) -> str:
        """Note the store's upload of an asset, unless it has one; give the one that counts."""
        counts = await self._session.scalar(
            sa.update(AssetRow)
            .where(AssetRow.id == asset_id)
            .values(upload_id=sa.func.coalesce(AssetRow.upload_id, upload_id))
            .returning(AssetRow.upload_id)
        )
        return str(counts)

    async def without_previews(self, *, count: int) -> list[Asset]:
        """Give ready assets that nobody has made previews of."""
        rows = await self._session.scalars(
            sa.select(AssetRow)
            .where(AssetRow.state == State.READY, AssetRow.previewed_at.is_(None))
            .order_by(AssetRow.id)
            .limit(count)
        )
        return [_asset(row) for row in rows]

    async def note_previewed(self, asset_id: uuid.UUID, *, at: datetime | None) -> None:
        """Record that an asset has the previews that it can have; None that they are to be made."""
        await self._session.execute(
            sa.update(AssetRow).where(AssetRow.id == asset_id).values(previewed_at=at)
        )

    async def removable(self, *, ended_before: datetime, count: int) -> list[Asset]:
        """Give deleted and rejected assets whose objects can be removed for good.

        While an upload's signature lives, or a completion is at work, an object may come back:
        so both the change and the upload must have ended before the given time.
        """
        rows = await self._session.scalars(
            sa.select(AssetRow)
            .where(
                AssetRow.state.in_(WITHOUT_BYTES),
                AssetRow.bytes_removed_at.is_(None),
                AssetRow.changed_at < ended_before,
                sa.func.coalesce(AssetRow.upload_ends_at < ended_before, sa.true()),
            )
            .order_by(AssetRow.changed_at)
            .limit(count)
        )
        return [_asset(row) for row in rows]

    async def note_removed(self, asset_id: uuid.UUID, *, now: datetime) -> None:
        """Record that an asset has no objects left."""
        await self._session.execute(
            sa.update(AssetRow).where(AssetRow.id == asset_id).values(bytes_removed_at=now)
        )

    async def forget_deleted(self, *, before: datetime) -> int:
        """Drop the rows of assets that were deleted before then and say how many."""
        gone = await self._session.execute(
            sa.delete(AssetRow)
            .where(
                AssetRow.state == State.DELETED,
                AssetRow.changed_at < before,
                AssetRow.bytes_removed_at.is_not(None),
            )
            .returning(AssetRow.id)
        )
        return len(gone.all())

    async def stored_after(
        self, place: tuple[uuid.UUID, uuid.UUID] | None, *, count: int
    ) -> list[Asset]:
        """Give assets that have or had an object, by organization and id: as their keys sort."""
        query = (
            sa.select(AssetRow)
            .where(AssetRow.state.in_(STORED))
            .order_by(AssetRow.org_id, AssetRow.id)
            .limit(count)
        )
        if place is not None:
            query = query.where(sa.tuple_(AssetRow.org_id, AssetRow.id) > sa.tuple_(*place))
        return [_asset(row) for row in await self._session.scalars(query)]

    async def find_all(self, asset_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Asset]:
        """Give those of the assets that there are, in whatever state, by their ids."""
        rows = await self._session.scalars(sa.select(AssetRow).where(AssetRow.id.in_(asset_ids)))
        return {row.id: _asset(row) for row in rows}


def _changing(asset: Asset, *, now: datetime) -> dict[str, Any]:
    return {
        "state": asset.state.value,
        "flaw": asset.flaw.value if asset.flaw else None,
        "width": asset.dimensions.width if asset.dimensions else None,
        "height": asset.dimensions.height if asset.dimensions else None,
        "duration_ms": asset.dimensions.duration_ms if asset.dimensions else None,
        "trashed_at": asset.trashed.at if asset.trashed else None,
        "purge_at": asset.trashed.purge_at if asset.trashed else None,
        "changed_at": now,
    }


def _asset(row: AssetRow) -> Asset:
    return Asset(
        id=row.id,
        org_id=row.org_id,
        contents=Contents(row.filename, row.content_type, row.size_bytes, row.sha256),
        state=State(row.state),
        created_at=row.created_at,
        upload_ends_at=row.upload_ends_at,
        dimensions=_dimensions(row),
        run_id=row.run_id,
        flaw=Flaw(row.flaw) if row.flaw else None,
        plan=PartsPlan(row.part_bytes, row.upload_id) if row.part_bytes is not None else None,
        trashed=Trashed(row.trashed_at, row.purge_at) if row.trashed_at and row.purge_at else None,
    )


def _dimensions(row: AssetRow) -> Dimensions | None:
    if row.width is None or row.height is None:
        return None
    return Dimensions(row.width, row.height, row.duration_ms)
