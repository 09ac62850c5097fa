"""Composition root of the notifications service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from reelmesh.platform.notifications.v1.notifications_service_pb2_grpc import (
    add_NotificationsServiceServicer_to_server,
)

from meshkit.part import PartContext
from meshkit.server import Service
from platform_svc.notifications.commands import MailCommands
from platform_svc.notifications.config import NotificationsSettings
from platform_svc.notifications.jobs import Forgetting, MailWorker
from platform_svc.notifications.mail_folder import MailFolder
from platform_svc.notifications.mailer import Mailer
from platform_svc.notifications.servicer import NotificationsServicer
from platform_svc.notifications.smtp import SmtpMailer
from platform_svc.notifications.tables import SCHEMA

SERVICE_NAME = "reelmesh.platform.notifications.v1.NotificationsService"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> Service:
    """Build the service and its background work."""
    settings = NotificationsSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS, pool_size=5)
    commands = MailCommands(database.sessions, part.ambient)
    worker = MailWorker(
        database.sessions, part.ambient, _mailer(settings), settings.sender, commands.queued
    )
    part.supervisor.start("notifications-mail", worker.run)
    part.supervisor.start(
        "notifications-forgetting", Forgetting(database.sessions, part.ambient).run
    )
    servicer = NotificationsServicer(commands)
    return Service(
        SERVICE_NAME,
        lambda server: add_NotificationsServiceServicer_to_server(servicer, server),
    )


def _mailer(settings: NotificationsSettings) -> Mailer:
    if settings.smtp is not None:
        return SmtpMailer(settings.smtp)
    assert settings.folder is not None, "mails go to a folder or to a server"
    return MailFolder(settings.folder)
