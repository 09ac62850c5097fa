"""Use cases around replicas: a region's report is answered by a plan, and operators see why."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from prometheus_client import Gauge
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from inference.connectors.protocol import ReplicaReport, ReplicaTarget
from inference.jobs import replica_statements as sql
from inference.jobs.statements import ADD_REGIONS
from inference.scheduler.planner import SETTINGS, Fleet, PlannerSettings, Target, plan

logger = logging.getLogger(__name__)

TARGET = Gauge("reelmesh_region_replicas_target", "Replicas wanted", ["region", "model"])

_ADD_REGION: Final = text(ADD_REGIONS)
_LOCK: Final = text(sql.LOCK_MODEL)
_REPORT: Final = text(sql.REPORT)
_FLEETS: Final = text(sql.FLEETS)
_WAITING: Final = text(sql.WAITING)
_SET_TARGET: Final = text(sql.SET_TARGET)
_DECIDE: Final = text(sql.DECIDE)
_DECISIONS: Final = text(sql.DECISIONS)
_REPORTED: Final = text(sql.REPORTED)
_PRUNE: Final = text(sql.PRUNE)


@dataclass(frozen=True, slots=True)
class ReplicasRecord:
    """What a region runs and should run of a model."""

    region: str
    model: str
    running: int
    target: int
    minimum: int
    maximum: int
    reason: str


@dataclass(frozen=True, slots=True)
class ScalingRecord:
    """One change of a target."""

    region: str
    model: str
    before: int
    after: int
    reason: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class ReplicaCommands:
    """Plans the replicas of each model, whenever a region reports."""

    sessions: async_sessionmaker[AsyncSession]
    prices: Mapping[str, float]
    settings: PlannerSettings = SETTINGS

    async def report(self, report: ReplicaReport) -> ReplicaTarget:
        """Take in a report, plan for all regions that run the model, and give this one's target."""
        async with self.sessions.begin() as session:
            await session.execute(_ADD_REGION, {"names": [report.region]})
            await session.execute(_LOCK, {"model": report.model})
            await session.execute(_REPORT, asdict(report))
            waiting = (await session.execute(_WAITING, {"model": report.model})).scalar_one()
            rows = (await session.execute(_FLEETS, {"model": report.model})).all()
            targets = plan(waiting, [self._fleet(row) for row in rows], rows[0].now, self.settings)
            for row, target in zip(rows, targets, strict=True):
                await _keep(session, report.model, row, target)
        mine = next(target for target in targets if target.region == report.region)
        return ReplicaTarget(mine.replicas, mine.reason)

    async def reported(self) -> list[ReplicasRecord]:
        """Give what regions have reported of late."""
        async with self.sessions.begin() as session:
            rows = (await session.execute(_REPORTED)).mappings().all()
        return [ReplicasRecord(**row) for row in rows]

    async def decisions(self, limit: int) -> list[ScalingRecord]:
        """Give the newest changes, the last one first."""
        async with self.sessions.begin() as session:
            rows = (await session.execute(_DECISIONS, {"limit": limit})).mappings().all()
        return [ScalingRecord(**row) for row in rows]

    def _fleet(self, row: Row[Any]) -> Fleet:
        return Fleet(
            region=row.region,
            running=row.running,
            minimum=row.minimum,
            maximum=row.maximum,
            busy=row.busy,
            run_seconds=row.run_seconds,
            price=self.prices.get(row.region, 1.0),
            is_open=row.is_open,
            target=row.target,
            surplus_since=row.surplus_since,
        )


async def _keep(session: AsyncSession, model: str, row: Row[Any], target: Target) -> None:
    """Write a target down, and a decision if it is another than before."""
    TARGET.labels(target.region, model).set(target.replicas)
    if (row.target, row.surplus_since, row.reason) == (
        *(target.replicas, target.surplus_since),
        target.reason,
    ):
        return
    values = {"region": target.region, "model": model, "reason": target.reason}
    await session.execute(
        _SET_TARGET, values | {"target": target.replicas, "surplus_since": target.surplus_since}
    )
    if row.target == target.replicas:
        return
    change = {"before": row.target, "after": target.replicas}
    await session.execute(_DECIDE, values | change)
    await session.execute(_PRUNE)
    logger.info("replicas planned", extra=values | change)
