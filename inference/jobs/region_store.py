"""Reads and writes the states of regions inside the caller's transaction; never commits."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from inference.connectors.protocol import LeaseKey
from inference.jobs import region_statements
from inference.jobs.statements import LOCK_REGIONS


class RegionState(enum.StrEnum):
    """Whether a region gets work; only `ACTIVE` does."""

    ACTIVE = "active"
    CORDONED = "cordoned"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class RegionRecord:
    """A region as it is stored, with the leases that it holds."""

    name: str
    state: RegionState
    note: str
    changed_by: str
    changed_at: datetime
    waiting: int
    running: int
    backlog_seconds: float

    @property
    def public_state(self) -> str:
        """Name the state for operators: a draining region without leases is drained."""
        is_drained = self.state is RegionState.DRAINING and not self.waiting and not self.running
        return "drained" if is_drained else self.state.value


@dataclass(frozen=True, slots=True)
class PlacementRecord:
    """One placement of the past."""

    job_id: uuid.UUID
    fence: int
    reason: str
    at: datetime


LIST: Final = text(region_statements.LIST)
SET_STATE: Final = text(region_statements.SET_STATE)
UNSTARTED: Final = text(region_statements.UNSTARTED)
PLACEMENTS: Final = text(region_statements.PLACEMENTS)
LOCK: Final = text(LOCK_REGIONS)


class RegionStore:
    """States of regions in one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def set_state(self, name: str, state: RegionState, note: str, changed_by: str) -> bool:
        """Change a region's state once no claim is under way; False if it is not known."""
        await self._session.execute(LOCK)
        values = {"name": name, "state": state.value, "note": note, "changed_by": changed_by}
        return (await self._session.execute(SET_STATE, values)).first() is not None

    async def unstarted(self, name: str) -> list[LeaseKey]:
        """Give the region's leases whose work has not begun, and keep them as they are."""
        rows = await self._session.execute(UNSTARTED, {"name": name})
        return [LeaseKey(row.job_id, row.fence) for row in rows]

    async def records(self, name: str | None = None) -> list[RegionRecord]:
        """Give every region, or the one of this name."""
        return [_record(row) for row in await self._session.execute(LIST, {"name": name})]

    async def placements(self, limit: int) -> list[PlacementRecord]:
        """Give the newest placements, the last one first."""
        rows = await self._session.execute(PLACEMENTS, {"limit": limit})
        return [PlacementRecord(r.job_id, r.fence, r.detail, r.at) for r in rows]


def _record(row: Row[Any]) -> RegionRecord:
    return RegionRecord(
        name=row.name,
        state=RegionState(row.state),
        note=row.note,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
        waiting=row.waiting,
        running=row.running,
        backlog_seconds=row.backlog_seconds,
    )
