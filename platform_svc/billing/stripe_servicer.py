"""gRPC surface of Stripe's events: a signed body in, a recorded hint out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import grpc
from reelmesh.platform.billing.v1 import stripe_service_pb2 as pb
from reelmesh.platform.billing.v1 import stripe_service_pb2_grpc as pb_grpc
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from platform_svc.billing.config import STRIPE
from platform_svc.billing.errors import ProviderNotConfigured
from platform_svc.billing.events import record_event
from platform_svc.billing.providers.stripe_signature import SignedEvents

SIGNATURE_KEY: Final = "stripe-signature"

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class StripeServicer(pb_grpc.StripeServiceServicer):
    """Serves StripeService; `events` is None where Stripe is not used."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    events: SignedEvents | None
    heard: asyncio.Event

    async def ReceiveStripeEvent(
        self, request: pb.ReceiveStripeEventRequest, context: Context
    ) -> pb.ReceiveStripeEventResponse:
        """Record a signed event."""
        if self.events is None:
            raise ProviderNotConfigured(STRIPE)
        metadata = dict(context.invocation_metadata() or ())
        now = self.ambient.now()
        signature = str(metadata.get(SIGNATURE_KEY, ""))
        event = self.events.read(request.payload.data, signature, now=now)
        outcome = await record_event(self.sessions, event, now=now)
        self.heard.set()
        return pb.ReceiveStripeEventResponse(outcome=outcome)
