"""Notifications on a real server and a real database, with a mailer that a test commands."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from reelmesh.platform.notifications.v1.inbox_service_pb2_grpc import InboxServiceStub
from reelmesh.platform.notifications.v1.notifications_events_pb2 import NoticeRaised
from reelmesh.platform.notifications.v1.notifications_service_pb2_grpc import (
    NotificationsServiceStub,
)
from reelmesh.platform.notifications.v1.webhooks_service_pb2_grpc import WebhooksServiceStub

from meshkit.context import UserPrincipal
from meshkit.ids import format_id
from meshkit.inbox import Event
from meshkit.notices import NOTICE_RAISED
from meshkit.postgres import Database
from meshkit.sealing import KEY_BYTES, Sealer
from meshkit.stubs import MeshChannel
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from platform_svc.notifications.commands import MailCommands
from platform_svc.notifications.delivering import DeliveryWorker
from platform_svc.notifications.delivery_commands import DeliveryCommands
from platform_svc.notifications.endpoint_commands import EndpointCommands
from platform_svc.notifications.inbox_commands import InboxCommands, Watchers
from platform_svc.notifications.jobs import MailWorker
from platform_svc.notifications.notice_jobs import NoticeHandler
from platform_svc.notifications.posting import Poster
from platform_svc.notifications.targets import TargetGuard, read_networks
from platform_svc.notifications.wiring import MIGRATIONS, Collaborators, services

from .receiver import Receiver, receiving

HERE = TargetGuard(read_networks("127.0.0.0/8"))
SEALER = Sealer((bytes(KEY_BYTES),))
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


class ClockedChannel(MeshChannel):
    """Calls as a user whose token is always fresh, however far the clock was advanced."""

    def __init__(self, mesh: ServedMesh, user: UserPrincipal) -> None:
        super().__init__(mesh.address, None)
        self._keys = mesh.identity
        self._user = user

    def metadata(self, given: Any) -> list[tuple[str, str]]:
        return [*super().metadata(given), *self._keys.user_metadata(self._user)]


@dataclass
class World:
    """What a test of notifications may look at."""

    mesh: ServedMesh
    commands: MailCommands
    made: Collaborators
    database: Database
    clock: ManualClock
    outbox: Outbox
    asked: asyncio.Event

    def worker(self) -> MailWorker:
        return MailWorker(
            self.database.sessions,
            self.clock.ambient,
            self.outbox,
            SENDER,
            self.commands.queued,
        )

    def deliverer(self, guard: TargetGuard = HERE) -> DeliveryWorker:
        return DeliveryWorker(
            self.database.sessions, self.clock.ambient, Poster(guard), SEALER, self.wait
        )

    async def wait(self, _seconds: float) -> None:
        await self.asked.wait()
        self.asked.clear()

    async def tell(self, type_: str = "run.succeeded", **changes: Any) -> uuid.UUID:
        """Deliver a notice, as the bus does, and give its id."""
        event_id = self.clock.ambient.new_id()
        fields: dict[str, Any] = {
            "org_id": format_id("org", USER.organization_id),
            "user_ids": [format_id("usr", USER.user_id)],
            "subject_id": "run_1",
            "title": "Your run is done",
            "data_json": '{"run_id":"run_1","credits_charged":4}',
        }
        notice = NoticeRaised(type=type_, **(fields | changes))
        notice.occurred_at.FromDatetime(self.clock.now())
        event = Event(event_id, NOTICE_RAISED, notice.SerializeToString(), 1)
        await self.notices().handle(event)
        return event_id

    def notices(self) -> NoticeHandler:
        return NoticeHandler(
            self.database.sessions,
            self.clock.ambient,
            self.made.inbox.watchers,
            self.asked.set,
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
    sessions, ambient, asked = database.sessions, clock.ambient, asyncio.Event()
    made = Collaborators(
        MailCommands(sessions, ambient),
        InboxCommands(sessions, ambient, Watchers()),
        EndpointCommands(sessions, ambient, HERE, SEALER),
        DeliveryCommands(sessions, ambient, asked.set),
    )
    async with serve(*services(made), identity=keys, ambient=ambient) as mesh:
        yield World(mesh, made.mails, made, database, clock, Outbox(), asked)


@pytest.fixture
async def stub(world: World) -> AsyncIterator[NotificationsServiceStub]:
    async with world.mesh.as_service(NotificationsServiceStub, "platform") as stub:
        yield stub


@pytest.fixture
async def inbox(world: World) -> AsyncIterator[InboxServiceStub]:
    async with ClockedChannel(world.mesh, USER) as channel:
        yield channel.stub(InboxServiceStub)


@pytest.fixture
async def webhooks(world: World) -> AsyncIterator[WebhooksServiceStub]:
    async with ClockedChannel(world.mesh, USER) as channel:
        yield channel.stub(WebhooksServiceStub)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver
