"""AccessService and the edge's door, served on a real database as in production."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from envoy_ext_authz.v3.external_auth_pb2_grpc import (
    AuthorizationStub,
    add_AuthorizationServicer_to_server,
)
from reelmesh.platform.access.v1.access_service_pb2_grpc import (
    AccessServiceStub,
    add_AccessServiceServicer_to_server,
)

from meshkit.authorization import Decision
from meshkit.context import UserPrincipal
from meshkit.peppers import Peppers
from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import ServedMesh, UserChannel, serve
from platform_svc.access.check_servicer import CheckServicer
from platform_svc.access.commands import AccessCommands
from platform_svc.access.exchange import KeyExchange
from platform_svc.access.queries import AccessQueries
from platform_svc.access.servicer import AccessServicer
from platform_svc.access.usage import KeyUsage
from platform_svc.access.wiring import CHECK_NAME, MIGRATIONS, SERVICE_NAME

PEPPERS = Peppers((b"the pepper of these tests, and long enough",))


class Roles:
    """An authorizer with what each user may do; who is not in it is no member."""

    def __init__(self) -> None:
        every = {"runs.read", "runs.write", "api_keys.read", "api_keys.write"}
        self.permissions = {USER.user_id: every}

    async def decide(
        self, principal: UserPrincipal, permission: str, organization_id: uuid.UUID
    ) -> Decision:
        mine = self.permissions.get(principal.user_id)
        if mine is None or organization_id != USER.organization_id:
            return Decision.NOT_A_MEMBER
        return Decision.ALLOWED if permission in mine else Decision.NOT_PERMITTED


@pytest.fixture(scope="session")
async def access_template(databases: Databases) -> str:
    return await databases.template({"access": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, access_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(access_template) as url,
        Database(url, schema="access") as database,
    ):
        yield database


@pytest.fixture
def roles() -> Roles:
    return Roles()


@pytest.fixture
def usage(database: Database) -> KeyUsage:
    return KeyUsage(database.sessions)


@pytest.fixture
def identity(tmp_path, clock: ManualClock) -> TestIdentity:
    """Keys whose tokens live by the test's clock."""
    return TestIdentity(tmp_path, ambient=clock.ambient)


@pytest.fixture
def exchange(database, usage, clock, identity) -> KeyExchange:
    return KeyExchange(database.sessions, clock.ambient, PEPPERS, identity.signer, usage)


@pytest.fixture
def commands(database, clock, roles) -> AccessCommands:
    return AccessCommands(database.sessions, clock.ambient, PEPPERS, roles)


@pytest.fixture
async def mesh(database, exchange, commands, roles, identity, clock) -> AsyncIterator[ServedMesh]:
    servicer = AccessServicer(commands, AccessQueries(database.sessions))
    check = CheckServicer(exchange)
    services = (
        Service(SERVICE_NAME, lambda server: add_AccessServiceServicer_to_server(servicer, server)),
        Service(CHECK_NAME, lambda server: add_AuthorizationServicer_to_server(check, server)),
    )
    async with serve(*services, identity=identity, authorizer=roles, ambient=clock.ambient) as mesh:
        yield mesh


@asynccontextmanager
async def connected(mesh: ServedMesh, user: UserPrincipal) -> AsyncIterator[Any]:
    """Give a stub whose first call need not wait for the connection."""
    async with UserChannel(mesh.address, mesh.identity, user) as channel:
        await channel.channel_of(SERVICE_NAME).channel_ready()
        yield channel.stub(AccessServiceStub)


@pytest.fixture
async def keys(mesh) -> AsyncIterator[Any]:
    async with connected(mesh, USER) as stub:
        yield stub


@pytest.fixture
async def colleague(mesh, roles) -> AsyncIterator[Any]:
    """A stub that calls as another member."""
    other = replace(USER, user_id=uuid.UUID(int=7))
    roles.permissions[other.user_id] = {"api_keys.read", "api_keys.write"}
    async with connected(mesh, other) as stub:
        yield stub


@pytest.fixture
async def door(mesh) -> AsyncIterator[Any]:
    """What the edge asks."""
    async with mesh.channel() as channel:
        await channel.channel_of(CHECK_NAME).channel_ready()
        yield channel.stub(AuthorizationStub)
