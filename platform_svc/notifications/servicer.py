"""gRPC surface of notifications: messages to values, one use case, values to messages."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import grpc
from reelmesh.platform.notifications.v1 import notifications_service_pb2 as pb
from reelmesh.platform.notifications.v1 import notifications_service_pb2_grpc as pb_grpc

from meshkit.ids import format_id
from meshkit.timestamps import timestamp
from platform_svc.notifications.commands import MailCommands
from platform_svc.notifications.mail import Mail, MailOrder

Context = grpc.aio.ServicerContext[Any, Any]


class NotificationsServicer(pb_grpc.NotificationsServiceServicer):
    """Serves NotificationsService; holds no state but its collaborators."""

    def __init__(self, commands: MailCommands) -> None:
        self._commands = commands

    async def QueueMail(self, request: pb.QueueMailRequest, context: Context) -> pb.Mail:
        """Accept a mail."""
        expires_at = request.expires_at.ToDatetime(UTC) if request.HasField("expires_at") else None
        order = MailOrder(
            idempotency_key=request.idempotency_key,
            template=request.template,
            recipient=request.recipient,
            parameters=dict(request.parameters),
            expires_at=expires_at,
        )
        return _mail_message(await self._commands.queue(order))


def _mail_message(mail: Mail) -> pb.Mail:
    created_at = timestamp(mail.created_at)
    return pb.Mail(
        mail_id=format_id("mail", mail.id), state=mail.state.value, created_at=created_at
    )
