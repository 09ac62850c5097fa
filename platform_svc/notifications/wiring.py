"""Composition root of the notifications service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reelmesh.platform.notifications.v1.inbox_service_pb2_grpc import (
    add_InboxServiceServicer_to_server,
)
from reelmesh.platform.notifications.v1.notifications_service_pb2_grpc import (
    add_NotificationsServiceServicer_to_server,
)
from reelmesh.platform.notifications.v1.webhooks_service_pb2_grpc import (
    add_WebhooksServiceServicer_to_server,
)

from meshkit.inbox import EventConsumer
from meshkit.invariants import InvariantCheck
from meshkit.notices import NOTICE_RAISED
from meshkit.part import PartContext
from meshkit.server import Service
from meshkit.wakeup import Wakeup
from platform_svc.notifications.commands import MailCommands
from platform_svc.notifications.config import NotificationsSettings
from platform_svc.notifications.delivery_commands import DeliveryCommands
from platform_svc.notifications.endpoint_commands import EndpointCommands
from platform_svc.notifications.inbox_commands import InboxCommands, Watchers
from platform_svc.notifications.inbox_servicer import InboxServicer
from platform_svc.notifications.invariants import NAMES
from platform_svc.notifications.jobs import OFFENDERS, Forgetting, MailWorker, WebhookCheck
from platform_svc.notifications.mail_folder import MailFolder
from platform_svc.notifications.mailer import Mailer
from platform_svc.notifications.notice_jobs import (
    CONSUMER,
    FORMER_USERS,
    USER_DELETED,
    FormerUsers,
    NoticeHandler,
)
from platform_svc.notifications.servicer import NotificationsServicer
from platform_svc.notifications.smtp import SmtpMailer
from platform_svc.notifications.tables import SCHEMA
from platform_svc.notifications.webhooks_servicer import WebhooksServicer

PACKAGE: Final = "reelmesh.platform.notifications.v1"
SERVICE_NAME: Final = f"{PACKAGE}.NotificationsService"
# Wakes the webhook workers, which are other processes.
DELIVERIES: Final = "notifications_deliveries"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the services are built of."""

    mails: MailCommands
    inbox: InboxCommands
    endpoints: EndpointCommands
    deliveries: DeliveryCommands


async def open_service(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Build the services and their background work; webhooks leave from their own worker."""
    settings = NotificationsSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    sessions, ambient, webhooks = database.sessions, part.ambient, settings.webhooks
    wakeup = await stack.enter_async_context(Wakeup(part.database_url, DELIVERIES))
    made = Collaborators(
        MailCommands(sessions, ambient),
        InboxCommands(sessions, ambient, Watchers()),
        EndpointCommands(sessions, ambient, webhooks.guard, webhooks.sealer),
        DeliveryCommands(sessions, ambient, wakeup.notify),
    )
    worker = MailWorker(sessions, ambient, _mailer(settings), settings.sender, made.mails.queued)
    check = InvariantCheck(
        "notifications-invariants",
        OFFENDERS,
        NAMES,
        WebhookCheck(sessions, ambient).look,
        settings.check_every,
    )
    part.start_outbox(database)
    part.supervisor.start("notifications-mail", worker.run)
    part.supervisor.start("notifications-forgetting", Forgetting(sessions, ambient).run)
    part.supervisor.start(check.task, check.run)
    _consume(part, made, NoticeHandler(sessions, ambient, made.inbox.watchers, wakeup.notify))
    return services(made)


def _consume(part: PartContext, made: Collaborators, notices: NoticeHandler) -> None:
    former = FormerUsers(made.inbox.sessions)
    for subject, name, handle in (
        (NOTICE_RAISED, CONSUMER, notices.handle),
        (USER_DELETED, FORMER_USERS, former.handle),
    ):
        part.supervisor.start(name, EventConsumer(part.bus, subject, name, handle).run)


def services(made: Collaborators) -> list[Service]:
    """Return what the folder serves: mails, the inbox of users, and webhooks."""
    mails = NotificationsServicer(made.mails)
    inbox = InboxServicer(made.inbox)
    webhooks = WebhooksServicer(made.endpoints, made.deliveries)
    return [
        Service(
            SERVICE_NAME,
            lambda server: add_NotificationsServiceServicer_to_server(mails, server),
        ),
        Service(
            f"{PACKAGE}.InboxService",
            lambda server: add_InboxServiceServicer_to_server(inbox, server),
            drain=made.inbox.watchers.drain,
        ),
        Service(
            f"{PACKAGE}.WebhooksService",
            lambda server: add_WebhooksServiceServicer_to_server(webhooks, server),
        ),
    ]


def _mailer(settings: NotificationsSettings) -> Mailer:
    if settings.smtp is not None:
        return SmtpMailer(settings.smtp)
    assert settings.folder is not None, "mails go to a folder or to a server"
    return MailFolder(settings.folder)
