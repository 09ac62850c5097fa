"""Composition root of the organizations service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from reelmesh.platform.organizations.v1.organizations_service_pb2_grpc import (
    add_OrganizationsServiceServicer_to_server,
)

from meshkit.inbox import EventConsumer
from meshkit.part import PartContext
from meshkit.server import Service
from platform_svc.organizations.commands import OrganizationCommands
from platform_svc.organizations.jobs import USER_SIGNED_UP, PersonalOrganizations
from platform_svc.organizations.queries import OrganizationQueries
from platform_svc.organizations.servicer import OrganizationsServicer
from platform_svc.organizations.tables import SCHEMA

SERVICE_NAME = "reelmesh.platform.organizations.v1.OrganizationsService"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> Service:
    """Build the service and its background work."""
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    commands = OrganizationCommands(database.sessions, part.ambient)
    servicer = OrganizationsServicer(commands, OrganizationQueries(database.sessions))
    consumer = EventConsumer(
        part.bus,
        USER_SIGNED_UP,
        "organizations-user-signed-up",
        PersonalOrganizations(commands).handle,
    )
    part.start_outbox(database)
    part.supervisor.start("organizations-user-signed-up", consumer.run)
    return Service(
        SERVICE_NAME,
        lambda server: add_OrganizationsServiceServicer_to_server(servicer, server),
    )
