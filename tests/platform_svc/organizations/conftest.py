"""The services of the organizations folder, served on a real database as in production."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from reelmesh.platform.organizations.v1.invitations_service_pb2_grpc import InvitationsServiceStub
from reelmesh.platform.organizations.v1.members_service_pb2_grpc import MembersServiceStub
from reelmesh.platform.organizations.v1.organizations_service_pb2_grpc import (
    OrganizationsServiceStub,
)

from meshkit.peppers import Peppers
from meshkit.postgres import Database
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from platform_svc.organizations.commands import OrganizationCommands
from platform_svc.organizations.invitation_commands import InvitationCommands
from platform_svc.organizations.wiring import MIGRATIONS, PACKAGE, services

from .people import People

PEPPERS = Peppers((b"the pepper of these tests, and long enough",))


@pytest.fixture(scope="session")
async def organizations_template(databases: Databases) -> str:
    return await databases.template({"organizations": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, organizations_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(organizations_template) as url,
        Database(url, schema="organizations") as database,
    ):
        yield database


@pytest.fixture
def commands(database: Database, clock: ManualClock) -> OrganizationCommands:
    return OrganizationCommands(database.sessions, clock.ambient)


@pytest.fixture
def invitation_commands(database: Database, clock: ManualClock) -> InvitationCommands:
    return InvitationCommands(database.sessions, clock.ambient, PEPPERS, asyncio.Event())


@pytest.fixture
async def mesh(
    database, commands, invitation_commands, identity: TestIdentity
) -> AsyncIterator[ServedMesh]:
    served = services(database, commands, invitation_commands)
    async with serve(*served, identity=identity) as mesh:
        yield mesh


@pytest.fixture
async def platform(mesh) -> AsyncIterator[OrganizationsServiceStub]:
    async with mesh.as_service(OrganizationsServiceStub, "platform") as stub:
        yield stub


@pytest.fixture
async def user(mesh) -> AsyncIterator[OrganizationsServiceStub]:
    async with mesh.as_user(OrganizationsServiceStub) as stub:
        yield stub


@pytest.fixture
async def people(mesh, identity) -> AsyncIterator[People]:
    """Calls as any user of the organization that a test is about."""
    async with mesh.channel() as channel:
        for service in ("OrganizationsService", "MembersService", "InvitationsService"):
            # The first call of a test need not wait for the connection.
            await channel.channel_of(f"{PACKAGE}.{service}").channel_ready()
        yield People(
            identity,
            channel.stub(OrganizationsServiceStub),
            channel.stub(MembersServiceStub),
            channel.stub(InvitationsServiceStub),
        )
