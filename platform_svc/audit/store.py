"""All SQL of the audit service."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.audit.entry import NO_HASH, Entry, Head, Link
from platform_svc.audit.tables import ChainRow, EntryRow


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries of a log are asked for; what is empty or None does not matter.

    `action` is a whole one, or the beginning of several if it ends with a dot. Times are those
    of the change: from `since` on, and before `until`.
    """

    action: str = ""
    actor_id: str = ""
    target_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def has(self, entry_id: uuid.UUID) -> bool:
        """Whether the entry is in a log."""
        return bool(await self.session.scalar(select(exists().where(EntryRow.id == entry_id))))

    async def lock_head(self, org_id: uuid.UUID) -> Head:
        """Return where a log ends; others who would append to it wait until the transaction ends.

        A log that does not exist is begun, so that there is a row to lock.
        """
        begun = insert(ChainRow).values(org_id=org_id, length=0, hash=NO_HASH, kept=0)
        await self.session.execute(begun.on_conflict_do_nothing())
        row = await self.session.get_one(ChainRow, org_id, with_for_update=True)
        return Head(row.length, row.hash)

    async def append(self, link: Link) -> None:
        """Add an entry behind the end of its log, which is locked."""
        entry = link.entry
        self.session.add(
            EntryRow(
                org_id=entry.org_id,
                position=link.position,
                id=entry.id,
                action=entry.action,
                actor_kind=entry.actor_kind,
                actor_id=entry.actor_id,
                api_key_id=entry.api_key_id,
                target_ids=list(entry.target_ids),
                details=dict(entry.details),
                request_id=entry.request_id,
                network=entry.network,
                occurred_at=entry.occurred_at,
                recorded_at=link.recorded_at,
                previous_hash=link.previous_hash,
                hash=link.hash,
            )
        )
        chain = await self.session.get_one(ChainRow, entry.org_id)
        chain.length, chain.hash = link.position, link.hash

    async def head(self, org_id: uuid.UUID) -> Head:
        """Return where a log is said to end."""
        row = await self.session.get(ChainRow, org_id)
        return Head(0, NO_HASH) if row is None else Head(row.length, row.hash)

    async def grown(self, *, count: int) -> list[tuple[uuid.UUID, Head]]:
        """Return up to `count` logs whose heads are not kept elsewhere yet."""
        query = select(ChainRow).where(ChainRow.length > ChainRow.kept).limit(count)
        rows = await self.session.scalars(query.order_by(ChainRow.org_id))
        return [(row.org_id, Head(row.length, row.hash)) for row in rows]

    async def note_kept(self, org_id: uuid.UUID, length: int) -> None:
        """Note that the head of this length is kept elsewhere."""
        await self.session.execute(
            update(ChainRow)
            .where(ChainRow.org_id == org_id, ChainRow.kept < length)
            .values(kept=length)
        )

    async def logs(self, *, after: uuid.UUID | None, count: int) -> Sequence[uuid.UUID]:
        """Return up to `count` organizations that have a log, in the order of their ids."""
        query = select(ChainRow.org_id).order_by(ChainRow.org_id).limit(count)
        if after is not None:
            query = query.where(ChainRow.org_id > after)
        return (await self.session.scalars(query)).all()

    async def links(self, org_id: uuid.UUID, *, after: int, count: int) -> list[Link]:
        """Return up to `count` entries behind a position, oldest first."""
        query = (
            select(EntryRow)
            .where(EntryRow.org_id == org_id, EntryRow.position > after)
            .order_by(EntryRow.position)
            .limit(count)
        )
        return [_link(row) for row in await self.session.scalars(query)]

    async def page(
        self, org_id: uuid.UUID, wanted: Filter, *, before: int | None, count: int
    ) -> list[Link]:
        """Return up to `count` entries that fit the filter, newest first."""
        query = select(EntryRow).where(EntryRow.org_id == org_id)
        if before is not None:
            query = query.where(EntryRow.position < before)
        query = _filtered(query, wanted).order_by(EntryRow.position.desc()).limit(count)
        return [_link(row) for row in await self.session.scalars(query)]


def _filtered(query: Select[EntryRow], wanted: Filter) -> Select[EntryRow]:
    if wanted.action.endswith("."):
        query = query.where(EntryRow.action.startswith(wanted.action, autoescape=True))
    elif wanted.action:
        query = query.where(EntryRow.action == wanted.action)
    if wanted.actor_id:
        query = query.where(EntryRow.actor_id == wanted.actor_id)
    if wanted.target_id:
        query = query.where(EntryRow.target_ids.contains([wanted.target_id]))
    if wanted.since is not None:
        query = query.where(EntryRow.occurred_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(EntryRow.occurred_at < wanted.until)
    return query


def _link(row: EntryRow) -> Link:
    entry = Entry(
        id=row.id,
        org_id=row.org_id,
        action=row.action,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        api_key_id=row.api_key_id,
        target_ids=tuple(row.target_ids),
        details=row.details,
        request_id=row.request_id,
        network=row.network,
        occurred_at=row.occurred_at,
    )
    return Link(entry, row.position, row.recorded_at, row.previous_hash, row.hash)
