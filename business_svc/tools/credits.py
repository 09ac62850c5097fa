"""Holds of credits, asked for from the platform; the hold of a run has the run's id."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self, cast

from reelmesh.platform.credits.v1 import credits_service_pb2 as pb
from reelmesh.platform.credits.v1 import credits_service_pb2_grpc as pb_grpc

from business_svc.tools.errors import InsufficientCredits
from business_svc.tools.remote import Refused, answers_of
from business_svc.tools.runs import Run
from meshkit.ids import format_id
from meshkit.stubs import MeshChannel

CAPTURE = "capture"
PAGE_SIZE = 200


@dataclass(frozen=True, slots=True)
class Capture:
    """A charge in an organization's ledger; `hold_id` is the run's public id."""

    hold_id: str
    amount_credits: int


class HoldLost(Exception):
    """The hold is no longer there to be captured: it expired or was released."""


@dataclass(frozen=True, slots=True)
class Credits:
    """Moves credits for runs; each call may be repeated without harm.

    Each raises `Unavailable` while the platform is away.
    """

    stub: pb_grpc.CreditsServiceAsyncStub
    hold_seconds: int

    @classmethod
    def over(cls, channel: MeshChannel, *, hold_seconds: int) -> Self:
        """Return what calls through the channel."""
        # A stub on an asynchronous channel is asynchronous, which its class does not say.
        stub = channel.stub(pb_grpc.CreditsServiceStub)
        return cls(cast("pb_grpc.CreditsServiceAsyncStub", stub), hold_seconds)

    async def hold(self, run: Run) -> None:
        """Set the run's price aside.

        Raises:
            InsufficientCredits: the organization has less.
        """
        request = pb.HoldCreditsRequest(
            hold_id=format_id("run", run.id),
            org_id=format_id("org", run.organization_id),
            amount_credits=run.spec.price_credits,
            hold_seconds=self.hold_seconds,
        )
        try:
            with answers_of("platform"):
                await self.stub.HoldCredits(request)
        except Refused as refusal:
            if refusal.reason != InsufficientCredits.reason:
                raise
            available = refusal.metadata.get("available_credits")
            raise InsufficientCredits(run.spec.price_credits, available) from refusal

    async def capture(self, run: Run) -> None:
        """Charge what the run's pictures cost and give the rest of the hold back.

        Raises:
            HoldLost: the hold is closed, so there is nothing to charge.
        """
        request = pb.CaptureHoldRequest(
            hold_id=format_id("run", run.id), amount_credits=run.due_credits
        )
        try:
            with answers_of("platform"):
                await self.stub.CaptureHold(request)
        except Refused as refusal:
            if refusal.reason not in {"HOLD_CLOSED", "HOLD_NOT_FOUND"}:
                raise
            raise HoldLost(refusal.reason) from refusal

    async def release(self, run_id: uuid.UUID) -> None:
        """Give a hold back in full; one that was never made needs none of that."""
        request = pb.ReleaseHoldRequest(hold_id=format_id("run", run_id))
        try:
            with answers_of("platform"):
                await self.stub.ReleaseHold(request)
        except Refused as refusal:
            if refusal.reason != "HOLD_NOT_FOUND":
                raise

    async def captures(
        self, organization_id: uuid.UUID, *, since: datetime
    ) -> AsyncIterator[Capture]:
        """Give the organization's charges since a time, newest first."""
        request = pb.ListLedgerRequest(
            org_id=format_id("org", organization_id), page_size=PAGE_SIZE
        )
        while True:
            with answers_of("platform"):
                page = await self.stub.ListLedger(request)
            for entry in page.entries:
                if entry.created_at.ToDatetime(tzinfo=UTC) < since:
                    return
                if entry.kind == CAPTURE:
                    yield Capture(entry.reference, -entry.amount_credits)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
