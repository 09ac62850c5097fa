"""A business process as a test sees it: its stub, its background work, and a way to drop it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.protobuf.struct_pb2 import Struct
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from reelmesh.business.tools.v1 import tools_service_pb2 as pb
from reelmesh.business.tools.v1 import tools_service_pb2_grpc as pb_grpc
from reelmesh.inference.jobs.v1 import jobs_events_pb2 as events_pb
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as jobs_pb
from sqlalchemy import select

from business_svc.tools.config import ToolsSettings
from business_svc.tools.invariants import offenders
from business_svc.tools.jobs import JOB_FINISHED
from business_svc.tools.tables import RunRow
from business_svc.tools.wiring import Tools, assemble
from meshkit.clock import uuid7
from meshkit.inbox import Event
from meshkit.postgres import Database
from meshkit.testing.clock import ManualClock
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import ServedMesh, serve

from .fakes import FakeInference, FakePlatform

SETTINGS = ToolsSettings(
    start_within=timedelta(hours=1), hold_for=timedelta(hours=6), rights_for=timedelta(0)
)


@dataclass(slots=True)
class Process:
    """One running business process."""

    tools: Tools
    mesh: ServedMesh
    stub: Any  # As the usual user.

    async def hear(self, job: jobs_pb.Job) -> None:
        """Deliver the event of a finished job."""
        data = events_pb.JobFinished(job=job).SerializeToString()
        await self.tools.handler(Event(uuid7(), JOB_FINISHED, data, delivery=1))


@dataclass(slots=True)
class Installation:
    """What outlives a business process: its database and the other parts."""

    database: Database
    clock: ManualClock
    identity: TestIdentity
    platform: FakePlatform
    inference: FakeInference
    others: ServedMesh

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Process]:
        """Run a business process; leaving the block drops all that it had in memory."""
        async with AsyncExitStack() as stack:
            channels = {
                name: await stack.enter_async_context(self.others.channel("business"))
                for name in ("platform", "inference")
            }
            tools = assemble(self.database, self.clock.ambient, SETTINGS, **channels)
            mesh = await stack.enter_async_context(serve(tools.service(), identity=self.identity))
            stub = await stack.enter_async_context(mesh.as_user(pb_grpc.ToolsServiceStub, USER))
            yield Process(tools, mesh, stub)

    async def rows(self) -> list[RunRow]:
        async with self.database.sessions() as session:
            return list(await session.scalars(select(RunRow).order_by(RunRow.id)))

    async def check(self) -> None:
        """Assert every invariant, with the credits' side of it."""
        rows = await self.rows()
        async with self.database.sessions() as session:
            broken = await offenders(
                session, now=self.clock.now(), settled_within=timedelta(hours=6)
            )
        assert broken == []
        captured = [hold for hold in self.platform.holds.values() if hold.state == "captured"]
        assert sum(hold.captured_credits for hold in captured) == sum(
            row.charged_credits for row in rows
        )
        assert len(captured) == sum(row.state == "succeeded" for row in rows)
        if all(row.phase == "settled" for row in rows):
            assert "pending" not in self.platform.states()


def run_request(**changes: Any) -> pb.RunToolRequest:
    inputs = Struct()
    inputs.update({"prompt": "a red circle"} | changes.pop("inputs", {}))
    fields = {"tool": "text-to-image", "inputs": inputs}
    return pb.RunToolRequest(**(fields | changes))


def reason(error: Any) -> str:
    """Return the reason of a refused call."""
    info = error_details_pb2.ErrorInfo()
    for detail in rpc_status.from_call(error).details:
        if detail.Unpack(info):
            return info.reason
    raise AssertionError("no ErrorInfo")


def violations(error: Any) -> dict[str, str]:
    """Return the field violations of a refused call."""
    bad = error_details_pb2.BadRequest()
    for detail in rpc_status.from_call(error).details:
        if detail.Unpack(bad):
            return {violation.field: violation.description for violation in bad.field_violations}
    return {}
