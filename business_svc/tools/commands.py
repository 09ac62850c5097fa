"""Write use cases of the tools service."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message
from reelmesh.business.tools.v1 import tools_service_pb2 as pb

from business_svc.tools import inputs as tool_inputs
from business_svc.tools import pricing
from business_svc.tools.catalog import Tool
from business_svc.tools.driver import RunDriver
from business_svc.tools.errors import RunNotFound
from business_svc.tools.journal import RUN_TOOL, RunJournal, key_scope
from business_svc.tools.rights import PlanRights, Rights
from business_svc.tools.runs import Phase, Run, Spec
from business_svc.tools.store import RunStore
from meshkit.errors import Unavailable
from meshkit.idempotency import claim, store
from meshkit.ids import format_id, parse_id
from meshkit.postgres import retry_aborted


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A wish to run a tool, whose inputs are not yet checked."""

    tool: Tool
    organization_id: uuid.UUID
    user_id: uuid.UUID
    inputs: Mapping[str, Any]
    count: int
    idempotency_key: str | None
    message: Message  # What the idempotency key is bound to.


@dataclass(frozen=True, slots=True)
class RunCommands:
    """What may be done to runs."""

    journal: RunJournal
    driver: RunDriver
    rights: PlanRights
    start_within: timedelta

    async def run(self, request: RunRequest) -> Run:
        """Start a run, or give the one that the idempotency key made.

        Raises:
            InvalidInputs: the inputs do not fit the tool.
            NotInPlan: the organization's plan does not have the tool.
            PlanLimitExceeded: the run is larger than the plan allows.
            AssetNotFound: the input image is not the organization's, or not ready.
            InsufficientCredits: the run may cost more than there is.
            IdempotencyKeyReused: the key names another request.
            Unavailable: the platform is away, so that the credits could not be held.
        """
        inputs = tool_inputs.accept(request.tool, request.inputs)
        rights = await self.rights.of(request.organization_id)
        run_id = await retry_aborted(lambda: self._begin(request, inputs, rights))
        try:
            run = await self.driver.advance(run_id)
        except Unavailable:
            run = await self.journal.find(run_id)
            if run is None or run.phase is Phase.HOLDING:
                await self._give_up(request, run_id)
                raise
        except asyncio.CancelledError:
            # The caller hung up or the deadline passed.
            await asyncio.shield(self._give_up(request, run_id))
            raise
        if run is None:
            raise Unavailable("the run was taken back meanwhile; try again")
        return run

    async def cancel(self, organization_id: uuid.UUID, run_id: uuid.UUID) -> Run:
        """Ask for the end of a run; give it as it stands then.

        If inference is away, the wish is kept and passed on later.

        Raises:
            RunNotFound: the organization has no such run.
        """
        run = await self.journal.find(run_id)
        if run is None or run.organization_id != organization_id or run.phase is Phase.HOLDING:
            raise RunNotFound(format_id("run", run_id))
        await self.journal.request_cancel(run_id)
        try:
            run = await self.driver.advance(run_id)
        except Unavailable:
            run = await self.journal.find(run_id)
        if run is None:
            raise RunNotFound(format_id("run", run_id))
        return run

    async def _give_up(self, request: RunRequest, run_id: uuid.UUID) -> None:
        """See to it that a run whose caller can never hear of it does not come to be."""
        if request.idempotency_key is not None:
            return  # The caller can ask for it again.
        run = await self.journal.find(run_id)
        if run is not None and run.phase is Phase.HOLDING:
            await self.journal.request_cancel(run_id)

    async def _begin(
        self, request: RunRequest, inputs: Mapping[str, Any], rights: Rights
    ) -> uuid.UUID:
        """Record the intent of a run; give its id, or that of the run that has the key."""
        scope = key_scope(request.organization_id)
        key = request.idempotency_key
        async with self.journal.sessions.begin() as session:
            earlier = await claim(session, scope, RUN_TOOL, key, request.message)
            if earlier is not None:
                return parse_id("run", pb.Run.FromString(earlier).run_id, field="run_id")
            # Only now: a run that was begun under another plan is still the key's answer.
            rights.admit(request.tool, inputs, count=request.count)
            ambient = self.journal.ambient
            run_id, now = ambient.new_id(), ambient.now()
            run = Run(
                id=run_id,
                organization_id=request.organization_id,
                user_id=request.user_id,
                spec=_spec(request, tool_inputs.with_seed(inputs, run_id), rights.band),
                created_at=now,
                start_deadline=now + self.start_within,
                idempotency_key=key,
            )
            RunStore(session).add(run, now=now)
            await store(session, scope, RUN_TOOL, key, pb.Run(run_id=format_id("run", run_id)))
            return run_id


def _spec(request: RunRequest, inputs: Mapping[str, Any], band: int) -> Spec:
    tool = request.tool
    return Spec(
        tool=tool.name,
        tool_version=tool.version,
        model=tool.model,
        task=tool.task,
        inputs=inputs,
        image_input=tool.image_input,
        count=request.count,
        unit_credits=pricing.unit_credits(tool.price, inputs),
        band=band,
    )
