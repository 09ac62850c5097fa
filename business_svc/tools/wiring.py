"""Composition root of the tools service: settings in, a served service out."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from reelmesh.business.tools.v1.origins_service_pb2_grpc import (
    add_OriginsServiceServicer_to_server,
)
from reelmesh.business.tools.v1.tools_service_pb2_grpc import add_ToolsServiceServicer_to_server

from business_svc.tools.assets import Assets
from business_svc.tools.catalog import load_catalog
from business_svc.tools.changes import RunChanges
from business_svc.tools.checking import invariant_check
from business_svc.tools.commands import RunCommands
from business_svc.tools.config import ToolsSettings
from business_svc.tools.credits import Credits
from business_svc.tools.driver import RunDriver
from business_svc.tools.inference_jobs import InferenceJobs
from business_svc.tools.jobs import JOB_FINISHED, JobFinishedHandler, Reconciler
from business_svc.tools.journal import RunJournal
from business_svc.tools.locks import RunLocks
from business_svc.tools.origins_servicer import OriginsServicer
from business_svc.tools.queries import RunQueries
from business_svc.tools.rights import PlanRights
from business_svc.tools.servicer import ToolsServicer
from business_svc.tools.tables import SCHEMA
from business_svc.tools.watching import RunWatcher
from meshkit.clock import Ambient
from meshkit.inbox import EventConsumer
from meshkit.invariants import InvariantCheck
from meshkit.part import PartContext
from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.stubs import MeshChannel

MIGRATIONS = Path(__file__).parent / "migrations" / "versions"
SERVICE = "reelmesh.business.tools.v1.ToolsService"
ORIGINS_SERVICE = "reelmesh.business.tools.v1.OriginsService"
CONSUMER = "tools-job-finished"
CONSUMER_CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class Tools:
    """What the service is made of."""

    servicer: ToolsServicer
    reconciler: Reconciler
    handler: JobFinishedHandler
    check: InvariantCheck

    def service(self) -> Service:
        """Return the service to be served."""
        return Service(
            name=SERVICE,
            add=lambda server: add_ToolsServiceServicer_to_server(self.servicer, server),
            drain=self.servicer.watcher.changes.drain,
        )

    def origins_service(self) -> Service:
        """Return the service for other services."""
        origins = OriginsServicer(self.servicer.queries)
        return Service(
            ORIGINS_SERVICE,
            lambda server: add_OriginsServiceServicer_to_server(origins, server),
        )


def assemble(
    database: Database,
    ambient: Ambient,
    settings: ToolsSettings,
    *,
    platform: MeshChannel,
    inference: MeshChannel,
) -> Tools:
    """Put the service together; nothing runs yet."""
    hold_seconds = int(settings.hold_for.total_seconds())
    assets = Assets.over(platform)
    jobs = InferenceJobs.over(inference)
    changes = RunChanges()
    journal = RunJournal(database.sessions, ambient, changes)
    credit = Credits.over(platform, hold_seconds=hold_seconds)
    driver = RunDriver(journal, credit, assets, jobs, RunLocks())
    queries = RunQueries(database.sessions, jobs, assets)
    reconciler = Reconciler(journal, driver)
    rights = PlanRights.over(platform, settings.rights_for)
    servicer = ToolsServicer(
        catalog=load_catalog(),
        commands=RunCommands(journal, driver, rights, settings.start_within),
        queries=queries,
        watcher=RunWatcher(queries, jobs, changes),
    )
    return Tools(
        servicer,
        reconciler,
        JobFinishedHandler(journal, reconciler.wake),
        invariant_check(database.sessions, credit, ambient, settings),
    )


async def open_service(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Build the services and give their background work to the part's supervisor."""
    settings = ToolsSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    tools = assemble(
        database,
        part.ambient,
        settings,
        platform=part.channel("platform"),
        inference=part.channel("inference"),
    )
    consumer = EventConsumer(
        part.bus,
        subject=JOB_FINISHED,
        name=CONSUMER,
        handler=tools.handler,
        concurrency=CONSUMER_CONCURRENCY,
    )
    part.start_outbox(database)
    part.supervisor.start("tools-reconciler", tools.reconciler.run)
    part.supervisor.start(CONSUMER, consumer.run)
    part.supervisor.start(tools.check.task, tools.check.run)
    return [tools.service(), tools.origins_service()]
