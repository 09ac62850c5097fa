"""Identity on a real server, a real database and fakes of the services it calls."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from reelmesh.platform.credits.v1 import credits_service_pb2 as credits_pb
from reelmesh.platform.identity.v1.account_service_pb2_grpc import AccountServiceStub
from reelmesh.platform.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from reelmesh.platform.notifications.v1 import notifications_service_pb2 as notifications_pb
from reelmesh.platform.organizations.v1 import organizations_service_pb2 as organizations_pb

from meshkit.postgres import Database
from meshkit.sealing import Sealer
from meshkit.stubs import MeshChannel
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.fakes import FakeServicer
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from platform_svc.identity.errand_desk import ErrandDesk
from platform_svc.identity.hashing import PasswordPool
from platform_svc.identity.jobs import ErrandRunner
from platform_svc.identity.onboarding import RemoteOnboarding
from platform_svc.identity.outgoing_mail import RemotePostOffice
from platform_svc.identity.wiring import MIGRATIONS, Collaborators, build_services

FREE_SIGN_UPS = 20


@dataclass
class World:
    """What a test of identity may look at."""

    mesh: ServedMesh
    desk: ErrandDesk
    runner: ErrandRunner
    database: Database
    clock: ManualClock
    organizations: FakeServicer
    credits: FakeServicer
    notifications: FakeServicer
    operators: set[uuid.UUID]

    async def mails(self, template: str | None = None) -> list[notifications_pb.QueueMailRequest]:
        """Run the errands and give what was mailed by now, of one template if it is named."""
        await self.runner.run_batch()
        sent = self.notifications.calls["QueueMail"]
        return [mail for mail in sent if template in {None, mail.template}]

    async def code(self, template: str) -> str:
        """Give the newest code that was mailed by a template."""
        return (await self.mails(template))[-1].parameters["code"]


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
    notifications = FakeServicer("reelmesh.platform.notifications.v1.NotificationsService")
    notifications.always("QueueMail", notifications_pb.Mail())
    fakes = (organizations, credits_, notifications)
    operators: set[uuid.UUID] = set()
    async with (
        serve(*(fake.service() for fake in fakes), identity=keys) as others,
        others.channel("platform") as channel,
    ):
        desk = ErrandDesk(clock.ambient)
        collaborators = Collaborators(
            sessions=database.sessions,
            ambient=clock.ambient,
            passwords=passwords,
            signer=keys.signer,
            onboarding=RemoteOnboarding.over(channel, sign_up_credits=500),
            sealer=Sealer((bytes(range(32)),)),
            jwks_file=keys.jwks_file,
            free_sign_ups=FREE_SIGN_UPS,
            operators=operators,
        )
        post_office = RemotePostOffice.over(channel)
        runner = ErrandRunner(database.sessions, clock.ambient, post_office, desk.left)
        services = build_services(collaborators, desk)
        async with serve(*services, identity=keys, ambient=clock.ambient) as mesh:
            yield World(mesh, desk, runner, database, clock, *fakes, operators)


@pytest.fixture
async def stub(world: World) -> AsyncIterator[IdentityServiceStub]:
    # Hashing is slow by design, and slower where the machine is busy with other things.
    async with MeshChannel(world.mesh.address, None, timeout_seconds=60) as channel:
        yield channel.stub(IdentityServiceStub)


@pytest.fixture
async def account(world: World) -> AsyncIterator[AccountServiceStub]:
    async with MeshChannel(world.mesh.address, None, timeout_seconds=60) as channel:
        yield channel.stub(AccountServiceStub)
