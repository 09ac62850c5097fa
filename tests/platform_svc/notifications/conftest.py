"""Notifications on a real server and a real database, with a mailer that a test commands."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import pytest
from reelmesh.platform.notifications.v1.notifications_service_pb2_grpc import (
    NotificationsServiceStub,
    add_NotificationsServiceServicer_to_server,
)

from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from platform_svc.notifications.commands import MailCommands
from platform_svc.notifications.jobs import MailWorker
from platform_svc.notifications.servicer import NotificationsServicer
from platform_svc.notifications.wiring import MIGRATIONS, SERVICE_NAME

SENDER = "Reelmesh <no-reply@reelmesh.test>"


@dataclass
class Outbox:
    """A mailer that keeps what it was given, or fails as it is told to."""

    sent: list[tuple[uuid.UUID, EmailMessage]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    async def send(self, mail_id: uuid.UUID, message: EmailMessage) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append((mail_id, message))


@dataclass
class World:
    """What a test of notifications may look at."""

    mesh: ServedMesh
    commands: MailCommands
    database: Database
    clock: ManualClock
    outbox: Outbox

    def worker(self) -> MailWorker:
        return MailWorker(
            self.database.sessions,
            self.clock.ambient,
            self.outbox,
            SENDER,
            self.commands.queued,
        )


@pytest.fixture(scope="session")
async def notifications_template(databases: Databases) -> str:
    return await databases.template({"notifications": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, notifications_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(notifications_template) as url,
        Database(url, schema="notifications", pool_size=16) as database,
    ):
        yield database


@pytest.fixture
async def world(database: Database, clock: ManualClock, tmp_path: Path) -> AsyncIterator[World]:
    keys = TestIdentity(tmp_path, ambient=clock.ambient)
    commands = MailCommands(database.sessions, clock.ambient)
    servicer = NotificationsServicer(commands)
    service = Service(
        SERVICE_NAME,
        lambda server: add_NotificationsServiceServicer_to_server(servicer, server),
    )
    async with serve(service, identity=keys, ambient=clock.ambient) as mesh:
        yield World(mesh, commands, database, clock, Outbox())


@pytest.fixture
async def stub(world: World) -> AsyncIterator[NotificationsServiceStub]:
    async with world.mesh.as_service(NotificationsServiceStub, "platform") as stub:
        yield stub
