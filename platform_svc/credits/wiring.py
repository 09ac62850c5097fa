"""Composition root of the credits service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from reelmesh.platform.credits.v1.credits_service_pb2_grpc import (
    add_CreditsServiceServicer_to_server,
)

from meshkit.inbox import EventConsumer
from meshkit.part import PartContext
from meshkit.server import Service
from platform_svc.credits.commands import CreditCommands
from platform_svc.credits.config import CreditsSettings
from platform_svc.credits.jobs import (
    ORGANIZATION_CREATED,
    ExpirySweeper,
    InvariantCheck,
    SignUpGrants,
)
from platform_svc.credits.queries import CreditQueries
from platform_svc.credits.servicer import CreditsServicer
from platform_svc.credits.tables import SCHEMA

SERVICE_NAME = "reelmesh.platform.credits.v1.CreditsService"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> Service:
    """Build the service and its background work."""
    settings = CreditsSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    commands = CreditCommands(database.sessions, part.ambient)
    servicer = CreditsServicer(commands, CreditQueries(database.sessions, part.ambient))
    sweeper = ExpirySweeper(database.sessions, part.ambient, settings.sweep_interval)
    grants = SignUpGrants(commands, settings.sign_up_credits)
    consumer = EventConsumer(
        part.bus, ORGANIZATION_CREATED, "credits-organization-created", grants.handle
    )
    check = InvariantCheck(database.sessions, part.ambient, settings.check_interval)
    part.supervisor.start("credits-expiry-sweeper", sweeper.run)
    part.supervisor.start("credits-invariants", check.run)
    part.supervisor.start("credits-organization-created", consumer.run)
    return Service(
        SERVICE_NAME, lambda server: add_CreditsServiceServicer_to_server(servicer, server)
    )
