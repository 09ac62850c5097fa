"""gRPC surface of jobs: messages to values, one use case, values to messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb
from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as pb_grpc

from inference.jobs.commands import JobCommands
from inference.jobs.messages import job_message, submission
from inference.jobs.queries import JobQueries
from meshkit.context import current
from meshkit.ids import parse_id


class JobsServicer(pb_grpc.JobsServiceServicer):
    """Serves JobsService; holds no state but its collaborators."""

    def __init__(self, commands: JobCommands, queries: JobQueries) -> None:
        self._commands = commands
        self._queries = queries

    async def SubmitJob(
        self, request: pb.SubmitJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.Job:
        """Queue a job."""
        del context
        job = await self._commands.submit(submission(request, current().traceparent or ""))
        return job_message(job)

    async def GetJob(
        self, request: pb.GetJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.Job:
        """Give one job."""
        del context
        return job_message(await self._queries.get(parse_id("job", request.job_id, field="job_id")))

    async def WatchJob(
        self, request: pb.WatchJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.Job]:
        """Stream a job as it changes."""
        del context
        job_id = parse_id("job", request.job_id, field="job_id")
        async for job in self._queries.watch(job_id):
            yield job_message(job)

    async def CancelJob(
        self, request: pb.CancelJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.Job:
        """Cancel a job."""
        del context
        return job_message(
            await self._commands.cancel(parse_id("job", request.job_id, field="job_id"))
        )
