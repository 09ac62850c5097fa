"""Composition of the inference part: jobs, the scheduler and the lease connector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as jobs_grpc
from reelmesh.inference.regions.v1 import lease_service_pb2_grpc as leases_grpc
from reelmesh.inference.regions.v1 import regions_service_pb2_grpc as regions_grpc

import inference.jobs
from inference.config import InferenceSettings
from inference.connectors.lease_servicer import LeaseServicer
from inference.connectors.protocol import Lease, Offer
from inference.jobs.commands import JobCommands
from inference.jobs.hub import Changes, JobHub
from inference.jobs.invariants import invariant_check
from inference.jobs.leasing import LeaseCommands
from inference.jobs.queries import JobQueries
from inference.jobs.queue import RegionQueue
from inference.jobs.region_commands import RegionCommands
from inference.jobs.regions_servicer import RegionsServicer
from inference.jobs.replica_commands import ReplicaCommands
from inference.jobs.servicer import JobsServicer
from inference.jobs.settlement import Settlement
from inference.jobs.upkeep import Upkeep
from inference.models.catalog import Catalog
from inference.scheduler.loop import SchedulerLoop
from inference.scheduler.planner import SETTINGS as PLANNER_SETTINGS
from inference.scheduler.planner import PlannerSettings
from meshkit.clock import Ambient
from meshkit.part import PartContext
from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.wakeup import Wakeup

SCHEMA: Final = "jobs"
MIGRATIONS: Final = Path(inference.jobs.__file__).parent / "migrations" / "versions"
POOL_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class Inference:
    """Everything of the part on one database; the loops are the caller's to run."""

    commands: JobCommands
    queries: JobQueries
    leases: LeaseCommands
    regions: RegionCommands
    replicas: ReplicaCommands
    upkeep: Upkeep
    loop: SchedulerLoop[Lease]
    prices: Mapping[str, float]

    def queue(self, region: str) -> RegionQueue:
        """Give the queue as one region sees it."""
        return RegionQueue(region, self.commands, self.leases, self._take_offer)

    def services(self) -> tuple[Service, ...]:
        """Give the gRPC services."""
        jobs = JobsServicer(self.commands, self.queries)
        leases = LeaseServicer(self.queue, self.replicas.report)
        regions = RegionsServicer(
            self.regions, self.replicas, lambda: self.loop.sightings, self.prices
        )
        return (
            Service(
                name="reelmesh.inference.jobs.v1.JobsService",
                add=lambda server: jobs_grpc.add_JobsServiceServicer_to_server(jobs, server),
                drain=self.queries.hub.drain,
            ),
            Service(
                name="reelmesh.inference.regions.v1.LeaseService",
                add=lambda server: leases_grpc.add_LeaseServiceServicer_to_server(leases, server),
                drain=self.loop.drain,
            ),
            Service(
                name="reelmesh.inference.regions.v1.RegionsService",
                add=lambda server: regions_grpc.add_RegionsServiceServicer_to_server(
                    regions, server
                ),
            ),
        )

    async def _take_offer(self, offer: Offer) -> Sequence[Lease]:
        return await self.loop.offer(
            offer.region,
            offer.agent_id,
            capacity=offer.capacity,
            models=offer.models,
            warm_models=offer.warm_models,
            wait_seconds=offer.wait_seconds,
        )


def build(
    database: Database,
    wakeup: Wakeup,
    *,
    ambient: Ambient,
    lease_ttl: timedelta,
    catalog: Catalog | None = None,
    prices: Mapping[str, float] | None = None,
    planner: PlannerSettings = PLANNER_SETTINGS,
) -> Inference:
    """Put the part together."""
    hub = JobHub()
    changes = Changes(hub, wakeup.notify)
    settlement = Settlement(ambient, changes)
    leases = LeaseCommands(database.sessions, changes, settlement, lease_ttl)
    return Inference(
        commands=JobCommands(database.sessions, ambient, catalog or Catalog(), changes, settlement),
        queries=JobQueries(database.sessions, hub),
        leases=leases,
        regions=RegionCommands(database.sessions, changes, settlement),
        replicas=ReplicaCommands(database.sessions, prices or {}, planner),
        upkeep=Upkeep(database.sessions, changes, settlement),
        loop=SchedulerLoop(leases, wakeup, ambient, prices),
        prices=prices or {},
    )


async def open_inference(stack: AsyncExitStack, part: PartContext) -> Sequence[Service]:
    """Open the part's database, start its loops and give its services."""
    settings = InferenceSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS, pool_size=POOL_SIZE)
    wakeup = await stack.enter_async_context(Wakeup(part.database_url, "reelmesh_scheduler"))
    built = build(
        database,
        wakeup,
        ambient=part.ambient,
        lease_ttl=settings.lease_ttl,
        prices=settings.prices,
        planner=settings.planner,
    )
    part.start_outbox(database)
    part.supervisor.start("scheduler", built.loop.run)
    part.supervisor.start("jobs-upkeep", built.upkeep.run)
    check = invariant_check(database.sessions, settings.check_interval)
    part.supervisor.start(check.task, check.run)
    return built.services()
