"""Composition root of the identity service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from reelmesh.platform.identity.v1.identity_service_pb2_grpc import (
    add_IdentityServiceServicer_to_server,
)

from meshkit.part import PartContext
from meshkit.server import Service
from meshkit.tokens import AccessTokenSigner
from platform_svc.identity.commands import IdentityCommands
from platform_svc.identity.config import IdentitySettings
from platform_svc.identity.hashing import PasswordPool
from platform_svc.identity.jobs import Forgetting
from platform_svc.identity.onboarding import RemoteOnboarding
from platform_svc.identity.operators import OperatorsFile
from platform_svc.identity.queries import IdentityQueries
from platform_svc.identity.servicer import IdentityServicer
from platform_svc.identity.tables import SCHEMA

SERVICE_NAME = "reelmesh.platform.identity.v1.IdentityService"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> Service:
    """Build the service and its background work."""
    settings = IdentitySettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    commands = IdentityCommands(
        sessions=database.sessions,
        ambient=part.ambient,
        passwords=await stack.enter_async_context(PasswordPool()),
        signer=AccessTokenSigner(settings.private_key_file, settings.issuer, ambient=part.ambient),
        onboarding=RemoteOnboarding.over(
            part.channel("platform"), sign_up_credits=settings.sign_up_credits
        ),
        free_sign_ups=settings.free_sign_ups,
        operators=OperatorsFile(settings.operators_file),
    )
    servicer = IdentityServicer(commands, IdentityQueries(database.sessions, settings.jwks_file))
    part.start_outbox(database)
    part.supervisor.start("identity-forgetting", Forgetting(database.sessions, part.ambient).run)
    return Service(
        SERVICE_NAME, lambda server: add_IdentityServiceServicer_to_server(servicer, server)
    )
