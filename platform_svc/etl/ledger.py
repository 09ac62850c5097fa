"""Asks the credits service what was charged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self, cast

from reelmesh.platform.credits.v1 import credits_service_pb2 as pb
from reelmesh.platform.credits.v1.credits_service_pb2_grpc import CreditsServiceStub

from meshkit.stubs import MeshChannel
from platform_svc.etl.reconciliation import Capture

if TYPE_CHECKING:  # The stub files know this type, the generated modules do not.
    from reelmesh.platform.credits.v1.credits_service_pb2_grpc import CreditsServiceAsyncStub

CALL_SECONDS_MAX: Final = 120.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """The captures of all organizations."""

    stub: CreditsServiceAsyncStub

    @classmethod
    def over(cls, channel: MeshChannel) -> Self:
        """Make one that calls through the channel."""
        # The generated types tell the two kinds of stub apart by the channel's type alone.
        return cls(cast("CreditsServiceAsyncStub", channel.stub(CreditsServiceStub)))

    async def captures(self, since: datetime) -> Sequence[Capture]:
        """Give every capture since then, as one snapshot of the ledger."""
        request = pb.StreamCapturesRequest()
        request.since.FromDatetime(since)
        return [
            Capture(one.hold_id, one.amount_credits, one.captured_at.ToDatetime(UTC))
            async for message in self.stub.StreamCaptures(request, timeout=CALL_SECONDS_MAX)
            for one in message.captures
        ]
