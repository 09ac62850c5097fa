"""gRPC surface of plans and subscriptions: messages to values, one use case, values to messages."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import grpc
from reelmesh.platform.billing.v1 import billing_service_pb2 as pb
from reelmesh.platform.billing.v1 import billing_service_pb2_grpc as pb_grpc

from meshkit.ids import parse_id
from platform_svc.billing.catalogue import Interval
from platform_svc.billing.commands import SubscriptionCommands
from platform_svc.billing.messages import (
    entitlements_message,
    plan_message,
    subscription_message,
)
from platform_svc.billing.queries import BillingQueries

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class BillingServicer(pb_grpc.BillingServiceServicer):
    """Serves BillingService; holds no state but its collaborators."""

    commands: SubscriptionCommands
    queries: BillingQueries

    async def ListPlans(
        self, request: pb.ListPlansRequest, context: Context
    ) -> pb.ListPlansResponse:
        """Give the plans on offer."""
        return pb.ListPlansResponse(plans=map(plan_message, self.queries.plans()))

    async def GetSubscription(
        self, request: pb.GetSubscriptionRequest, context: Context
    ) -> pb.Subscription:
        """Give what an organization has now."""
        return subscription_message(await self.queries.subscription(_org_id(request.org_id)))

    async def ChangeSubscription(
        self, request: pb.ChangeSubscriptionRequest, context: Context
    ) -> pb.Subscription:
        """Take the step that brings an organization to a plan."""
        org_id = _org_id(request.org_id)
        interval = Interval(request.interval or Interval.MONTH)
        await self.commands.change(org_id, request.plan, interval)
        return subscription_message(await self.queries.subscription(org_id))

    async def GetEntitlements(
        self, request: pb.GetEntitlementsRequest, context: Context
    ) -> pb.Entitlements:
        """Give what an organization may use now."""
        return entitlements_message(await self.queries.entitlements(_org_id(request.org_id)))


def _org_id(text: str) -> uuid.UUID:
    return parse_id("org", text, field="org_id")
