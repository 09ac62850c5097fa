"""Composition root of the ETL service. It serves without PyArrow, which only runs need."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from reelmesh.platform.etl.v1.etl_service_pb2_grpc import add_EtlServiceServicer_to_server

from meshkit.part import PartContext
from meshkit.server import Service
from platform_svc.etl.commands import EtlCommands
from platform_svc.etl.config import EtlSettings
from platform_svc.etl.jobs import Runner, invariant_check
from platform_svc.etl.queries import EtlQueries
from platform_svc.etl.servicer import EtlServicer
from platform_svc.etl.tables import SCHEMA

SERVICE_NAME = "reelmesh.platform.etl.v1.EtlService"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> Service:
    """Build the service and its background work."""
    settings = EtlSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS, pool_size=4)
    commands = EtlCommands(database.sessions, part.ambient)
    queries = EtlQueries(database.sessions)
    check = invariant_check(commands, queries, settings.check_interval)
    part.supervisor.start("etl-runner", Runner(commands, settings.interval).run)
    part.supervisor.start(check.task, check.run)
    return service(commands, queries)


def service(commands: EtlCommands, queries: EtlQueries) -> Service:
    """Put what is served together."""
    servicer = EtlServicer(commands, queries)
    return Service(SERVICE_NAME, lambda server: add_EtlServiceServicer_to_server(servicer, server))
