"""Composition root of the audit service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from reelmesh.platform.audit.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server

from meshkit.audit import CHANGE_RECORDED
from meshkit.inbox import EventConsumer
from meshkit.invariants import InvariantCheck
from meshkit.part import PartContext
from meshkit.server import Service
from platform_svc.audit.commands import AuditCommands
from platform_svc.audit.config import AuditSettings
from platform_svc.audit.jobs import INTACT, OFFENDERS, LogCheck, Recorder
from platform_svc.audit.keeping import HeadKeeper, KeptHeads
from platform_svc.audit.queries import AuditQueries
from platform_svc.audit.servicer import AuditServicer
from platform_svc.audit.tables import SCHEMA

SERVICE_NAME: Final = "reelmesh.platform.audit.v1.AuditService"
CONSUMER: Final = "audit-change-recorded"
MIGRATIONS: Final = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> Service:
    """Build the service and its background work."""
    settings = AuditSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS, pool_size=5)
    kept = KeptHeads(part.objects)
    queries = AuditQueries(database.sessions, kept)
    keeper = HeadKeeper(database.sessions, kept, settings.keep_every)
    recorder = Recorder(AuditCommands(database.sessions, part.ambient))
    consumer = EventConsumer(part.bus, CHANGE_RECORDED, CONSUMER, recorder.handle)
    check = InvariantCheck(
        "audit-invariants",
        OFFENDERS,
        (INTACT,),
        LogCheck(queries).look,
        settings.check_every,
    )
    part.supervisor.start(CONSUMER, consumer.run)
    part.supervisor.start(check.task, check.run)
    part.supervisor.start("audit-head-keeper", keeper.run)
    return audit_service(queries)


def audit_service(queries: AuditQueries) -> Service:
    """Return the service to be served."""
    servicer = AuditServicer(queries)
    return Service(
        SERVICE_NAME, lambda server: add_AuditServiceServicer_to_server(servicer, server)
    )
