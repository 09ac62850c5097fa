"""Composition root of the tools service: settings in, a served service out."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from reelmesh.business.tools.v1.tools_service_pb2_grpc import add_ToolsServiceServicer_to_server
from reelmesh.inference.jobs.v1.jobs_service_pb2_grpc import JobsServiceStub
from reelmesh.platform.assets.v1.assets_service_pb2_grpc import AssetsServiceStub
from reelmesh.platform.credits.v1.credits_service_pb2_grpc import CreditsServiceStub

from business_svc.tools.assets import Assets
from business_svc.tools.catalog import load_catalog
from business_svc.tools.changes import RunChanges
from business_svc.tools.commands import RunCommands
from business_svc.tools.config import ToolsSettings
from business_svc.tools.credits import Credits
from business_svc.tools.driver import RunDriver
from business_svc.tools.inference_jobs import InferenceJobs
from business_svc.tools.jobs import JOB_FINISHED, JobFinishedHandler, Reconciler
from business_svc.tools.journal import RunJournal
from business_svc.tools.locks import RunLocks
from business_svc.tools.queries import RunQueries
from business_svc.tools.servicer import ToolsServicer
from business_svc.tools.tables import SCHEMA
from business_svc.tools.watching import RunWatcher
from meshkit.inbox import EventConsumer
from meshkit.part import PartContext
from meshkit.server import Service

MIGRATIONS = Path(__file__).parent / "migrations" / "versions"
SERVICE = "reelmesh.business.tools.v1.ToolsService"
CONSUMER = "tools-job-finished"
CONSUMER_CONCURRENCY = 8


async def open_service(stack: AsyncExitStack, part: PartContext) -> Service:
    """Build the service and give its background work to the part's supervisor."""
    settings = ToolsSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    platform, inference = part.channel("platform"), part.channel("inference")
    assets = Assets(platform.stub(AssetsServiceStub))
    credits_ = Credits(
        platform.stub(CreditsServiceStub), hold_seconds=int(settings.hold_for.total_seconds())
    )
    jobs = InferenceJobs(inference.stub(JobsServiceStub))
    changes = RunChanges()
    journal = RunJournal(database.sessions, part.ambient, changes)
    driver = RunDriver(journal, credits_, assets, jobs, RunLocks())
    queries = RunQueries(database.sessions, jobs, assets)
    reconciler = Reconciler(journal, driver)
    handler = JobFinishedHandler(journal, wake=reconciler.wake)
    consumer = EventConsumer(
        part.bus,
        subject=JOB_FINISHED,
        name=CONSUMER,
        handler=handler,
        concurrency=CONSUMER_CONCURRENCY,
    )
    part.start_outbox(database)
    part.supervisor.start("tools-reconciler", reconciler.run)
    part.supervisor.start(CONSUMER, consumer.run)
    servicer = ToolsServicer(
        catalog=load_catalog(),
        commands=RunCommands(journal, driver, start_within=settings.start_within),
        queries=queries,
        watcher=RunWatcher(queries, jobs, changes),
    )
    return Service(
        name=SERVICE, add=lambda server: add_ToolsServiceServicer_to_server(servicer, server)
    )
