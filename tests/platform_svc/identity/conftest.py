"""Identity on a real server, a real database and fakes of the services it calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from reelmesh.platform.credits.v1 import credits_service_pb2 as credits_pb
from reelmesh.platform.identity.v1.identity_service_pb2_grpc import (
    IdentityServiceStub,
    add_IdentityServiceServicer_to_server,
)
from reelmesh.platform.organizations.v1 import organizations_service_pb2 as organizations_pb

from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.stubs import MeshChannel
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.fakes import FakeServicer
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from platform_svc.identity.commands import IdentityCommands
from platform_svc.identity.hashing import PasswordPool
from platform_svc.identity.onboarding import RemoteOnboarding
from platform_svc.identity.queries import IdentityQueries
from platform_svc.identity.servicer import IdentityServicer
from platform_svc.identity.wiring import MIGRATIONS, SERVICE_NAME

FREE_SIGN_UPS = 20


@dataclass
class World:
    """What a test of identity may look at."""

    mesh: ServedMesh
    commands: IdentityCommands
    queries: IdentityQueries
    database: Database
    clock: ManualClock
    organizations: FakeServicer
    credits: FakeServicer


@pytest.fixture(scope="session")
async def identity_template(databases: Databases) -> str:
    return await databases.template({"identity": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, identity_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(identity_template) as url,
        Database(url, schema="identity", pool_size=16) as database,
    ):
        yield database


@pytest.fixture(scope="session")
async def passwords() -> AsyncIterator[PasswordPool]:
    async with PasswordPool() as pool:
        yield pool


@pytest.fixture
async def world(
    database: Database, clock: ManualClock, passwords: PasswordPool, tmp_path: Path
) -> AsyncIterator[World]:
    keys = TestIdentity(tmp_path, ambient=clock.ambient)
    organizations = FakeServicer("reelmesh.platform.organizations.v1.OrganizationsService")
    organizations.always("EnsurePersonalOrganization", organizations_pb.Organization())
    credits_ = FakeServicer("reelmesh.platform.credits.v1.CreditsService")
    credits_.always("GrantCredits", credits_pb.Grant())
    async with (
        serve(organizations.service(), credits_.service(), identity=keys) as others,
        others.channel("platform") as channel,
    ):
        commands = IdentityCommands(
            sessions=database.sessions,
            ambient=clock.ambient,
            passwords=passwords,
            signer=keys.signer,
            onboarding=RemoteOnboarding.over(channel, sign_up_credits=500),
            free_sign_ups=FREE_SIGN_UPS,
        )
        queries = IdentityQueries(database.sessions, keys.jwks_file)
        servicer = IdentityServicer(commands, queries)
        service = Service(
            SERVICE_NAME, lambda server: add_IdentityServiceServicer_to_server(servicer, server)
        )
        async with serve(service, identity=keys, ambient=clock.ambient) as mesh:
            yield World(mesh, commands, queries, database, clock, organizations, credits_)


@pytest.fixture
async def stub(world: World) -> AsyncIterator[IdentityServiceStub]:
    # Hashing is slow by design, and slower where the machine is busy with other things.
    async with MeshChannel(world.mesh.address, None, timeout_seconds=60) as channel:
        yield channel.stub(IdentityServiceStub)
