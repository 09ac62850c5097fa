"""Composition root of the identity service."""

from __future__ import annotations

import uuid
from collections.abc import Container
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from reelmesh.platform.identity.v1.account_service_pb2_grpc import (
    add_AccountServiceServicer_to_server,
)
from reelmesh.platform.identity.v1.identity_service_pb2_grpc import (
    add_IdentityServiceServicer_to_server,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.part import PartContext
from meshkit.sealing import Sealer
from meshkit.server import Service
from meshkit.tokens import AccessTokenSigner
from platform_svc.identity.account_commands import AccountCommands
from platform_svc.identity.account_queries import AccountQueries
from platform_svc.identity.account_servicer import AccountServicer
from platform_svc.identity.attempts import Attempts
from platform_svc.identity.commands import IdentityCommands
from platform_svc.identity.config import IdentitySettings
from platform_svc.identity.errand_desk import ErrandDesk
from platform_svc.identity.hashing import PasswordPool
from platform_svc.identity.issuing import SessionIssuer
from platform_svc.identity.jobs import ErrandRunner, Forgetting
from platform_svc.identity.onboarding import Onboarding, RemoteOnboarding
from platform_svc.identity.operators import OperatorsFile
from platform_svc.identity.outgoing_mail import RemotePostOffice
from platform_svc.identity.queries import IdentityQueries
from platform_svc.identity.recovery_commands import RecoveryCommands
from platform_svc.identity.servicer import IdentityServicer
from platform_svc.identity.tables import SCHEMA
from platform_svc.identity.two_step_commands import TwoStepCommands

SERVICE_NAME = "reelmesh.platform.identity.v1.IdentityService"
ACCOUNT_SERVICE_NAME = "reelmesh.platform.identity.v1.AccountService"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Build the services and their background work."""
    settings = IdentitySettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    collaborators = Collaborators(
        sessions=database.sessions,
        ambient=part.ambient,
        passwords=await stack.enter_async_context(PasswordPool()),
        signer=AccessTokenSigner(settings.private_key_file, settings.issuer, ambient=part.ambient),
        onboarding=RemoteOnboarding.over(
            part.channel("platform"), sign_up_credits=settings.sign_up_credits
        ),
        sealer=settings.sealer,
        jwks_file=settings.jwks_file,
        free_sign_ups=settings.free_sign_ups,
        operators=OperatorsFile(settings.operators_file),
    )
    desk = ErrandDesk(part.ambient)
    runner = ErrandRunner(
        database.sessions,
        part.ambient,
        RemotePostOffice.over(part.channel("platform")),
        desk.left,
    )
    part.start_outbox(database)
    part.supervisor.start("identity-forgetting", Forgetting(database.sessions, part.ambient).run)
    part.supervisor.start("identity-errands", runner.run)
    return build_services(collaborators, desk)


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the two services are built of."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    passwords: PasswordPool
    signer: AccessTokenSigner
    onboarding: Onboarding
    sealer: Sealer
    jwks_file: Path
    free_sign_ups: int
    operators: Container[uuid.UUID] = ()


def build_services(parts: Collaborators, desk: ErrandDesk) -> list[Service]:
    """Build both services, which share their commands."""
    sessions, ambient, passwords = parts.sessions, parts.ambient, parts.passwords
    attempts = Attempts(sessions, ambient)
    issuer = SessionIssuer(ambient, parts.signer, parts.operators)
    commands = IdentityCommands(
        sessions,
        ambient,
        passwords,
        attempts,
        desk,
        issuer,
        parts.onboarding,
        parts.free_sign_ups,
    )
    recovery = RecoveryCommands(sessions, ambient, passwords, attempts, desk)
    two_step = TwoStepCommands(sessions, ambient, attempts, desk, issuer, parts.sealer)
    identity = IdentityServicer(
        commands, recovery, two_step, IdentityQueries(sessions, parts.jwks_file)
    )
    account = AccountServicer(
        AccountCommands(sessions, ambient, passwords, attempts, desk),
        recovery,
        two_step,
        AccountQueries(sessions, ambient),
    )
    return [
        Service(
            SERVICE_NAME, lambda server: add_IdentityServiceServicer_to_server(identity, server)
        ),
        Service(
            ACCOUNT_SERVICE_NAME,
            lambda server: add_AccountServiceServicer_to_server(account, server),
        ),
    ]
