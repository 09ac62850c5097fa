"""Reports the region's replicas to the scheduler and lets Ray Serve follow the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from inference.connectors.client import SchedulerAway
from inference.connectors.protocol import ReplicaReport, ReplicaTarget
from inference.regions.settings import RegionSettings
from meshkit.stubs import RemoteError

logger = logging.getLogger(__name__)

REPORT_SECONDS: Final = 2.0


class Planner(Protocol):
    """Whoever says how many replicas there should be."""

    async def report_replicas(self, report: ReplicaReport) -> ReplicaTarget:
        """Say how many replicas run and learn how many should."""
        ...


class Scalable(Protocol):
    """The region's replicas."""

    @property
    def model(self) -> str:
        """The model that they serve."""
        ...

    @property
    def running(self) -> int:
        """How many run."""
        ...

    def aim(self, replicas: int) -> None:
        """Make it so many, in time; blocks."""
        ...


class Scaler:
    """Asks for the plan again and again; `is_heard` tells whether the last answer came."""

    def __init__(
        self,
        settings: RegionSettings,
        planner: Planner,
        workers: Scalable,
        run_seconds: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._planner = planner
        self._workers = workers
        self._run_seconds = run_seconds
        self.is_heard = False

    async def run(self) -> None:
        """Report and follow for ever; raises when the cluster is gone."""
        while True:
            await self.follow()
            await asyncio.sleep(REPORT_SECONDS)  # The rhythm of the reports.

    async def follow(self) -> None:
        """Report once and aim at the answer; without one, everything stays as it is."""
        report = ReplicaReport(
            region=self._settings.name,
            model=self._workers.model,
            running=self._workers.running,
            minimum=self._settings.replicas_min,
            maximum=self._settings.replicas_max,
            run_seconds=self._run_seconds(),
        )
        try:
            target = await self._planner.report_replicas(report)
        except (SchedulerAway, RemoteError) as error:
            self.is_heard = False
            logger.warning("no plan for the replicas", extra={"why": str(error)})
            return
        self.is_heard = True
        await asyncio.to_thread(self._workers.aim, target.replicas)
