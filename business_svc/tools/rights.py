"""What an organization's plan lets it run, asked of the platform and remembered for seconds."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self, cast

from reelmesh.platform.billing.v1 import billing_service_pb2 as pb
from reelmesh.platform.billing.v1 import billing_service_pb2_grpc as pb_grpc

from business_svc.tools.catalog import Tool
from business_svc.tools.errors import NotInPlan, PlanLimitExceeded
from business_svc.tools.remote import answers_of
from meshkit.ids import format_id
from meshkit.stubs import MeshChannel

REMEMBERED_MAX: Final = 10_000
EVERY_TOOL: Final = "tool:*"
PICTURES: Final = "pictures_per_run"
STEPS: Final = "steps_per_picture"
STEPS_INPUT: Final = "steps"


@dataclass(frozen=True, slots=True)
class Rights:
    """What a plan opens; what `limits` does not name has no limit of the plan's."""

    plan: str
    band: int
    features: frozenset[str]
    limits: Mapping[str, int]

    def admit(self, tool: Tool, inputs: Mapping[str, Any], *, count: int) -> None:
        """Let a run through.

        Raises:
            NotInPlan: the plan does not have the tool.
            PlanLimitExceeded: the run is larger than the plan allows.
        """
        feature = f"tool:{tool.name}"
        if not self.features & {feature, EVERY_TOOL}:
            raise NotInPlan(plan=self.plan, feature=feature)
        self._demand(PICTURES, count)
        self._demand(STEPS, inputs.get(STEPS_INPUT, 0))

    def _demand(self, limit: str, wanted: float) -> None:
        limit_max = self.limits.get(limit)
        if limit_max is not None and wanted > limit_max:
            raise PlanLimitExceeded(plan=self.plan, limit=limit, limit_max=limit_max)


class PlanRights:
    """Gives organizations' rights, none older than `remembered_for`."""

    def __init__(
        self,
        stub: pb_grpc.BillingServiceAsyncStub,
        remembered_for: timedelta,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stub = stub
        self._seconds = remembered_for.total_seconds()
        self._monotonic = monotonic
        self._remembered: OrderedDict[uuid.UUID, tuple[Rights, float]] = OrderedDict()

    @classmethod
    def over(cls, channel: MeshChannel, remembered_for: timedelta) -> Self:
        """Return what asks through the channel."""
        # A stub on an asynchronous channel is asynchronous, which its class does not say.
        stub = channel.stub(pb_grpc.BillingServiceStub)
        return cls(cast("pb_grpc.BillingServiceAsyncStub", stub), remembered_for)

    async def of(self, organization_id: uuid.UUID) -> Rights:
        """Return what an organization may run.

        Raises:
            Unavailable: the platform is away.
        """
        now = self._monotonic()
        rights, until = self._remembered.get(organization_id, (None, 0.0))
        if rights is not None and now < until:
            return rights
        request = pb.GetEntitlementsRequest(org_id=format_id("org", organization_id))
        with answers_of("platform"):
            answer = await self._stub.GetEntitlements(request)
        rights = Rights(answer.plan, answer.band, frozenset(answer.features), dict(answer.limits))
        self._remembered[organization_id] = (rights, now + self._seconds)
        self._remembered.move_to_end(organization_id)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return rights
