"""gRPC surface of the ETL service: messages to values, one use case, values to messages."""

from __future__ import annotations

from typing import Any

import grpc
from reelmesh.platform.etl.v1 import etl_service_pb2 as pb
from reelmesh.platform.etl.v1 import etl_service_pb2_grpc as pb_grpc

from meshkit.context import current_user
from meshkit.ids import format_id, parse_id
from meshkit.structs import struct_of
from meshkit.timestamps import timestamp
from platform_svc.etl.commands import EtlCommands
from platform_svc.etl.queries import EtlQueries
from platform_svc.etl.run import REPORT, Run

Context = grpc.aio.ServicerContext[Any, Any]


class EtlServicer(pb_grpc.EtlServiceServicer):
    """Serves EtlService; holds no state but its collaborators."""

    def __init__(self, commands: EtlCommands, queries: EtlQueries) -> None:
        self._commands = commands
        self._queries = queries

    async def RunEtl(self, request: pb.RunEtlRequest, context: Context) -> pb.EtlRun:
        """Ask for a run."""
        return _run_message(await self._commands.ask(format_id("usr", current_user().user_id)))

    async def GetEtlRun(self, request: pb.GetEtlRunRequest, context: Context) -> pb.EtlRun:
        """Give one run."""
        run_id = parse_id("etl", request.etl_run_id, field="etl_run_id")
        return _run_message(await self._queries.run(run_id))

    async def ListEtlRuns(
        self, request: pb.ListEtlRunsRequest, context: Context
    ) -> pb.ListEtlRunsResponse:
        """Give one page of runs."""
        page = await self._queries.runs(page_size=request.page_size, page_token=request.page_token)
        return pb.ListEtlRunsResponse(
            runs=map(_run_message, page.runs), next_page_token=page.next_page_token
        )

    async def GetMart(self, request: pb.GetMartRequest, context: Context) -> pb.Mart:
        """Give the rows of a mart."""
        found = await self._queries.publication(request.mart)
        return pb.Mart(
            mart=request.mart,
            etl_run_id=format_id("etl", found.run_id),
            made_at=timestamp(found.made_at),
            rows=map(struct_of, found.content["rows"]),
        )

    async def GetEtlReport(self, request: pb.GetEtlReportRequest, context: Context) -> pb.EtlReport:
        """Give the newest report."""
        found = await self._queries.publication(REPORT)
        return pb.EtlReport(
            etl_run_id=format_id("etl", found.run_id),
            made_at=timestamp(found.made_at),
            html=found.content["html"],
        )


def _run_message(run: Run) -> pb.EtlRun:
    return pb.EtlRun(
        etl_run_id=format_id("etl", run.id),
        state=run.state.value,
        asked_by=run.asked_by,
        asked_at=timestamp(run.asked_at),
        started_at=timestamp(run.started_at) if run.started_at else None,
        finished_at=timestamp(run.finished_at) if run.finished_at else None,
        failure=run.failure,
        counts=struct_of(run.outcome.counts),
        offenders=[
            pb.Offenders(check=check, offenders=ids)
            for check, ids in sorted(run.outcome.offenders.items())
        ],
    )
