"""Composition root of the events service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from reelmesh.platform.events.v1.events_service_pb2_grpc import (
    add_EventsServiceServicer_to_server,
)

from meshkit.clock import Ambient
from meshkit.part import PartContext
from meshkit.postgres import Database
from meshkit.server import Service
from platform_svc.events.catalogue import load_catalogue
from platform_svc.events.commands import EventCommands
from platform_svc.events.config import EventsSettings
from platform_svc.events.jobs import Sweeper, invariant_check
from platform_svc.events.messages import publication
from platform_svc.events.queries import EventQueries
from platform_svc.events.servicer import EventsServicer
from platform_svc.events.tables import SCHEMA

SERVICE_NAME = "reelmesh.platform.events.v1.EventsService"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> Service:
    """Build the service and its background work."""
    settings = EventsSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    sweeper = Sweeper(database.sessions, part.ambient)
    check = invariant_check(database.sessions, part.ambient, settings.check_interval)
    part.start_outbox(database)
    part.supervisor.start("events-sweeper", sweeper.run)
    part.supervisor.start(check.task, check.run)
    return service(database, part.ambient)


def service(database: Database, ambient: Ambient) -> Service:
    """Put what is served together."""
    commands = EventCommands(database.sessions, ambient, load_catalogue(), publication)
    servicer = EventsServicer(commands, EventQueries(database.sessions))
    return Service(
        SERVICE_NAME, lambda server: add_EventsServiceServicer_to_server(servicer, server)
    )
