"""gRPC surface of the inbox: messages to values, one use case, values to messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from reelmesh.platform.notifications.v1 import inbox_service_pb2 as pb
from reelmesh.platform.notifications.v1 import inbox_service_pb2_grpc as pb_grpc

from meshkit.context import current_user
from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.notifications.inbox import Notification
from platform_svc.notifications.inbox_commands import InboxCommands

Context = grpc.aio.ServicerContext[Any, Any]


class InboxServicer(pb_grpc.InboxServiceServicer):
    """Serves InboxService; holds no state but its collaborators."""

    def __init__(self, commands: InboxCommands) -> None:
        self._commands = commands

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        """Give one page of the caller's notifications."""
        page = await self._commands.page(
            current_user().user_id,
            page_size=request.page_size,
            page_token=request.page_token,
            unread_only=request.unread_only,
        )
        return pb.ListNotificationsResponse(
            notifications=[_message(one) for one in page.notifications],
            next_page_token=page.next_page_token,
            unread=page.unread,
        )

    async def WatchNotifications(
        self, request: pb.WatchNotificationsRequest, context: Context
    ) -> AsyncIterator[pb.NotificationEvent]:
        """Stream the caller's notifications."""
        after = parse_id("ntf", request.after, field="after") if request.after else None
        async for notification, unread in self._commands.watch(current_user().user_id, after):
            shown = None if notification is None else _message(notification)
            yield pb.NotificationEvent(notification=shown, unread=unread)

    async def MarkNotificationRead(
        self, request: pb.MarkNotificationReadRequest, context: Context
    ) -> pb.Notification:
        """Mark one as read."""
        notification_id = parse_id("ntf", request.notification_id, field="notification_id")
        return _message(await self._commands.read(current_user().user_id, notification_id))

    async def MarkAllNotificationsRead(
        self, request: pb.MarkAllNotificationsReadRequest, context: Context
    ) -> pb.MarkAllNotificationsReadResponse:
        """Mark all up to one as read."""
        through = parse_id("ntf", request.through, field="through")
        unread = await self._commands.read_all(current_user().user_id, through)
        return pb.MarkAllNotificationsReadResponse(unread=unread)


def _message(notification: Notification) -> pb.Notification:
    return pb.Notification(
        notification_id=format_id("ntf", notification.id),
        type=notification.type,
        org_id=format_id("org", notification.org_id),
        subject_id=notification.subject_id,
        title=notification.title,
        occurred_at=timestamp(notification.occurred_at),
        read_at=timestamp(notification.read_at),
    )
