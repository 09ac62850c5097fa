"""Hands mails to the notifications service."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, Self, cast

import grpc
from reelmesh.platform.notifications.v1 import notifications_service_pb2 as pb
from reelmesh.platform.notifications.v1.notifications_service_pb2_grpc import (
    NotificationsServiceStub,
)

from meshkit.stubs import MeshChannel, remote_reason
from meshkit.timestamps import timestamp

if TYPE_CHECKING:  # The stub files know this type, the generated modules do not.
    from reelmesh.platform.notifications.v1.notifications_service_pb2_grpc import (
        NotificationsServiceAsyncStub,
    )

logger = logging.getLogger(__name__)

CALL_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class OwedMail:
    """One mail, ready to be handed over; its parameters may be secret."""

    key: str
    template: str
    recipient: str
    parameters: Mapping[str, str] = field(repr=False)
    expires_at: datetime | None = None


class PostOffice(Protocol):
    """Takes mails over."""

    async def take(self, mail: OwedMail) -> bool:
        """Whether the mail is taken care of, for good or ill; False to try again later."""
        ...


@dataclass(frozen=True, slots=True)
class RemotePostOffice:
    """Calls the notifications service."""

    notifications: NotificationsServiceAsyncStub

    @classmethod
    def over(cls, channel: MeshChannel) -> Self:
        """Make one that calls through the channel."""
        stub = cast("NotificationsServiceAsyncStub", channel.stub(NotificationsServiceStub))
        return cls(stub)

    async def take(self, mail: OwedMail) -> bool:
        """Queue the mail."""
        request = pb.QueueMailRequest(
            idempotency_key=mail.key,
            template=mail.template,
            recipient=mail.recipient,
            parameters=dict(mail.parameters),
        )
        if mail.expires_at is not None:
            expires_at = timestamp(mail.expires_at)
            request.expires_at.CopyFrom(expires_at)
        try:
            await self.notifications.QueueMail(request, timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            is_final = error.code() is grpc.StatusCode.INVALID_ARGUMENT
            logger.log(
                logging.ERROR if is_final else logging.WARNING,
                "a mail was not taken over",
                extra={
                    "key": mail.key,
                    "template": mail.template,
                    "code": error.code().name,
                    "reason": remote_reason(error),
                },
            )
            return is_final
        return True
