"""gRPC surface of credits: messages to values, one use case, values to messages."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any

import grpc
from reelmesh.platform.credits.v1 import credits_service_pb2 as pb
from reelmesh.platform.credits.v1 import credits_service_pb2_grpc as pb_grpc

from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.credits import ledger
from platform_svc.credits.commands import CreditCommands
from platform_svc.credits.queries import CreditQueries

Context = grpc.aio.ServicerContext[Any, Any]


class CreditsServicer(pb_grpc.CreditsServiceServicer):
    """Serves CreditsService; holds no state but its collaborators."""

    def __init__(self, commands: CreditCommands, queries: CreditQueries) -> None:
        self._commands = commands
        self._queries = queries

    async def GrantCredits(self, request: pb.GrantCreditsRequest, context: Context) -> pb.Grant:
        """Add credits to an organization, once per key."""
        return _grant_message(await self._commands.grant(_grant_request(request)))

    async def HoldCredits(self, request: pb.HoldCreditsRequest, context: Context) -> pb.Hold:
        """Set credits aside for a piece of work."""
        return _hold_message(await self._commands.hold(_hold_request(request)))

    async def CaptureHold(self, request: pb.CaptureHoldRequest, context: Context) -> pb.Hold:
        """Charge part or all of a hold."""
        hold = await self._commands.capture(request.hold_id, request.amount_credits)
        return _hold_message(hold)

    async def ReleaseHold(self, request: pb.ReleaseHoldRequest, context: Context) -> pb.Hold:
        """Give a hold back."""
        return _hold_message(await self._commands.release(request.hold_id))

    async def GetBalance(self, request: pb.GetBalanceRequest, context: Context) -> pb.Balance:
        """Give an organization's balance."""
        balance = await self._queries.balance(_org_id(request.org_id))
        return pb.Balance(
            org_id=request.org_id,
            available=balance.available_credits,
            held=balance.held_credits,
            total=balance.total_credits,
        )

    async def ListLedger(
        self, request: pb.ListLedgerRequest, context: Context
    ) -> pb.ListLedgerResponse:
        """Give one page of an organization's postings."""
        page = await self._queries.ledger(
            _org_id(request.org_id), page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListLedgerResponse(
            entries=[_entry_message(posting) for posting in page.postings],
            next_page_token=page.next_page_token,
        )

    async def ListGrants(
        self, request: pb.ListGrantsRequest, context: Context
    ) -> pb.ListGrantsResponse:
        """Give one page of the grants that have something left."""
        page, token = await self._queries.grants(
            _org_id(request.org_id), page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListGrantsResponse(grants=map(_grant_message, page), next_page_token=token)

    async def StreamCaptures(
        self, request: pb.StreamCapturesRequest, context: Context
    ) -> AsyncIterator[pb.Captures]:
        """Give every capture since a moment."""
        async for captures in self._queries.captures(request.since.ToDatetime(UTC)):
            yield pb.Captures(captures=[_capture_message(one) for one in captures])


def _org_id(text: str) -> uuid.UUID:
    return parse_id("org", text, field="org_id")


def _grant_request(message: pb.GrantCreditsRequest) -> ledger.GrantRequest:
    return ledger.GrantRequest(
        org_id=_org_id(message.org_id),
        amount_credits=message.amount_credits,
        idempotency_key=message.idempotency_key,
        kind=ledger.GrantKind(message.kind),
        priority=message.priority or ledger.PRIORITY_DEFAULT,
        expires_at=(message.expires_at.ToDatetime(UTC) if message.HasField("expires_at") else None),
        note=message.note,
    )


def _hold_request(message: pb.HoldCreditsRequest) -> ledger.HoldRequest:
    return ledger.HoldRequest(
        id=message.hold_id,
        org_id=_org_id(message.org_id),
        amount_credits=message.amount_credits,
        ttl=timedelta(seconds=message.hold_seconds),
    )


def _grant_message(grant: ledger.Grant) -> pb.Grant:
    return pb.Grant(
        grant_id=format_id("grt", grant.id),
        org_id=format_id("org", grant.org_id),
        amount_credits=grant.amount_credits,
        remaining_credits=grant.remaining_credits,
        kind=grant.kind,
        expires_at=timestamp(grant.expires_at) if grant.expires_at else None,
        created_at=timestamp(grant.created_at),
        held_credits=grant.held_credits,
        priority=grant.priority,
        note=grant.note,
    )


def _hold_message(hold: ledger.Hold) -> pb.Hold:
    return pb.Hold(
        hold_id=hold.id,
        org_id=format_id("org", hold.org_id),
        amount_credits=hold.amount_credits,
        captured_credits=hold.captured_credits,
        state=hold.state.value,
        expires_at=timestamp(hold.expires_at),
    )


def _entry_message(posting: ledger.Posting) -> pb.LedgerEntry:
    reference = posting.reference
    if posting.kind is not ledger.PostingKind.CAPTURE:
        reference = format_id("grt", uuid.UUID(reference))
    return pb.LedgerEntry(
        transaction_id=format_id("ltx", posting.transaction_id),
        kind=posting.kind.value,
        amount_credits=posting.amount_credits,
        reference=reference,
        note=posting.note,
        created_at=timestamp(posting.created_at),
    )


def _capture_message(capture: ledger.Capture) -> pb.Capture:
    return pb.Capture(
        hold_id=capture.hold_id,
        org_id=format_id("org", capture.org_id),
        amount_credits=capture.amount_credits,
        captured_at=timestamp(capture.captured_at),
    )
