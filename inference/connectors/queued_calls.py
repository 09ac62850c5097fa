"""How a call travels through a message broker: its queue, its values and what may be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from google.protobuf.message import DecodeError
from reelmesh.inference.regions.v1 import queued_call_pb2 as pb

from inference.connectors.brokers.protocol import MAILBOX_NAME

CALLS_QUEUE: Final = "rm-calls"
_LEASES: Final = "/reelmesh.inference.regions.v1.LeaseService/"
LEASE_METHOD: Final = f"{_LEASES}LeaseJobs"
FAIL_METHOD: Final = f"{_LEASES}FailJob"
SUBMIT_METHOD: Final = "/reelmesh.inference.jobs.v1.JobsService/SubmitJob"
# The verbs of a region and of who submits, and nothing else; who may call each is for the
# scheduler to say.
METHODS: Final = frozenset(
    {
        LEASE_METHOD,
        FAIL_METHOD,
        SUBMIT_METHOD,
        *(f"{_LEASES}{name}" for name in ("ExtendLeases", "ReportProgress", "CompleteJob")),
        f"{_LEASES}ReportReplicas",
    }
)
# The caller's token is good for at least so long, and every report may be repeated.
REPORT_SECONDS_KEPT: Final = 50.0


class MalformedCall(ValueError):
    """What arrived is no call that could be answered."""


@dataclass(frozen=True, slots=True)
class QueuedCall:
    """A call on its way; after `expires_at` nobody makes it any more."""

    call_id: str
    method: str
    request: bytes
    metadata: Mapping[str, str]
    reply_to: str
    expires_at: datetime

    def encode(self) -> bytes:
        """Give the call as bytes."""
        message = pb.QueuedCall(
            call_id=self.call_id,
            method=self.method,
            request=self.request,
            metadata=self.metadata,
            reply_to=self.reply_to,
        )
        message.expires_at.FromDatetime(self.expires_at)
        return message.SerializeToString()

    @classmethod
    def decode(cls, data: bytes) -> QueuedCall:
        """Read a call.

        Raises:
            MalformedCall: it is not one, or names a method or a mailbox that nobody may use.
        """
        try:
            message = pb.QueuedCall.FromString(data)
            expires_at = message.expires_at.ToDatetime(tzinfo=UTC)
        except (DecodeError, ValueError, OverflowError) as error:
            raise MalformedCall("it cannot be read") from error
        if message.method not in METHODS:
            raise MalformedCall("its method may not be called this way")
        if not MAILBOX_NAME.fullmatch(message.reply_to):
            raise MalformedCall("it wants its reply where no replies go")
        if not all(value.isascii() and value.isprintable() for value in message.metadata.values()):
            raise MalformedCall("its metadata cannot be sent")
        return cls(
            call_id=message.call_id,
            method=message.method,
            request=message.request,
            metadata=dict(message.metadata),
            reply_to=message.reply_to,
            expires_at=expires_at,
        )
