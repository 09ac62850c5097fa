"""Composition root of the webhook worker, a process of its own beside the platform part.

What it sends to is chosen by users and may be slow or hostile, so it shares neither a process
nor credentials of other services with what serves calls.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from meshkit.part import PartContext
from meshkit.server import Service
from meshkit.wakeup import Wakeup
from platform_svc.notifications.delivering import DeliveryWorker
from platform_svc.notifications.posting import Poster
from platform_svc.notifications.tables import SCHEMA
from platform_svc.notifications.webhook_config import WebhookSettings
from platform_svc.notifications.wiring import DELIVERIES, MIGRATIONS


async def open_worker(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Build the worker; it serves nothing but its health.

    Its events leave with those of the notifications service, whose outbox it writes to.
    """
    settings = WebhookSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    wakeup = await stack.enter_async_context(Wakeup(part.database_url, DELIVERIES))
    worker = DeliveryWorker(
        database.sessions, part.ambient, Poster(settings.guard), settings.sealer, wakeup.wait
    )
    part.supervisor.start("notifications-webhooks", worker.run)
    return []
