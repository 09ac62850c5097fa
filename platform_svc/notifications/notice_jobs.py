"""Turns each notice into notifications of its users and deliveries to its organization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from reelmesh.platform.identity.v1.identity_events_pb2 import UserDeleted
from reelmesh.platform.notifications.v1.notifications_events_pb2 import NoticeRaised
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.ids import parse_id
from meshkit.inbox import Event, already_seen
from platform_svc.notifications.delivery_store import DeliveryStore
from platform_svc.notifications.endpoint_store import EndpointStore
from platform_svc.notifications.inbox import Told
from platform_svc.notifications.inbox_commands import Watchers
from platform_svc.notifications.inbox_store import InboxStore
from platform_svc.notifications.webhooks import Message, new_delivery, payload_of, takes

CONSUMER: Final = "notifications-notice-raised"
USER_DELETED: Final = "reelmesh.platform.identity.user_deleted"
FORMER_USERS: Final = "notifications-user-deleted"


@dataclass(frozen=True, slots=True)
class NoticeHandler:
    """Handles each notice once, in one transaction; `wake` tells the workers of deliveries."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    watchers: Watchers
    wake: Callable[[], None]

    async def handle(self, event: Event) -> None:
        """Show the notice that the event carries to its users and send it to webhooks."""
        told = _told(event)
        async with self.sessions.begin() as session:
            if await already_seen(session, CONSUMER, event.id):
                return
            await InboxStore(session).add(told, self.ambient)
            deliveries = await self._send(session, told)
        for user_id in told.user_ids:
            self.watchers.wake(user_id)
        if deliveries:
            self.wake()

    async def _send(self, session: AsyncSession, told: Told) -> int:
        endpoints = await EndpointStore(session).share_enabled(told.org_id)
        wanting = [one for one, types in endpoints if takes(types, told.type)]
        if not wanting:
            return 0
        now = self.ambient.now()
        payload = payload_of(told.type, told.data_json, told.occurred_at)
        store = DeliveryStore(session)
        # The message has the event's id, so that it is the same message however often it comes.
        await store.add_message(Message(told.id, told.org_id, told.type, payload, now))
        for endpoint_id in wanting:
            of = (endpoint_id, told.id, told.type)
            await store.add(new_delivery(self.ambient.new_id(), of, now=now))
        return len(wanting)


@dataclass(frozen=True, slots=True)
class FormerUsers:
    """Forgets what deleted users were shown; harmless to repeat, so no inbox row is needed."""

    sessions: async_sessionmaker[AsyncSession]

    async def handle(self, event: Event) -> None:
        """Forget the user whom the event names."""
        deleted = event.parse(UserDeleted)
        user_id = parse_id("usr", deleted.user_id, field="user_id")
        async with self.sessions.begin() as session:
            await InboxStore(session).delete_of(user_id)


def _told(event: Event) -> Told:
    notice = event.parse(NoticeRaised)
    return Told(
        id=event.id,
        type=notice.type,
        org_id=parse_id("org", notice.org_id, field="org_id"),
        user_ids=tuple(parse_id("usr", one, field="user_ids") for one in notice.user_ids),
        subject_id=notice.subject_id,
        title=notice.title,
        data_json=notice.data_json,
        occurred_at=notice.occurred_at.ToDatetime(UTC),
    )
