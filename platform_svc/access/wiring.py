"""Composition root of the access service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from envoy_ext_authz.v3.external_auth_pb2_grpc import add_AuthorizationServicer_to_server
from reelmesh.platform.access.v1.access_service_pb2_grpc import add_AccessServiceServicer_to_server

from meshkit.part import PartContext
from meshkit.server import Service
from meshkit.tokens import AccessTokenSigner
from platform_svc.access.check_servicer import CheckServicer
from platform_svc.access.commands import AccessCommands
from platform_svc.access.config import AccessSettings
from platform_svc.access.exchange import KeyExchange
from platform_svc.access.queries import AccessQueries
from platform_svc.access.servicer import AccessServicer
from platform_svc.access.tables import SCHEMA
from platform_svc.access.usage import KeyUsage

SERVICE_NAME: Final = "reelmesh.platform.access.v1.AccessService"
CHECK_NAME: Final = "envoy.service.auth.v3.Authorization"
MIGRATIONS: Final = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Build the service, the edge's door and their background work."""
    settings = AccessSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    usage = KeyUsage(database.sessions)
    # After the loop has been stopped, so that an orderly end loses nothing.
    stack.push_async_callback(usage.flush_at_the_end)
    part.start_outbox(database)
    part.supervisor.start("access-key-usage", usage.run)
    servicer = AccessServicer(
        AccessCommands(database.sessions, part.ambient, settings.peppers, part.authorizer),
        AccessQueries(database.sessions),
    )
    check = CheckServicer(
        KeyExchange(
            database.sessions,
            part.ambient,
            settings.peppers,
            AccessTokenSigner(settings.private_key_file, settings.issuer, ambient=part.ambient),
            usage,
        )
    )
    return [
        Service(SERVICE_NAME, lambda server: add_AccessServiceServicer_to_server(servicer, server)),
        Service(CHECK_NAME, lambda server: add_AuthorizationServicer_to_server(check, server)),
    ]
