"""The default connector's server: LeaseService, which regions dial outwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from reelmesh.inference.regions.v1 import lease_service_pb2 as pb
from reelmesh.inference.regions.v1 import lease_service_pb2_grpc as pb_grpc

from inference.connectors import messages
from inference.connectors.errors import LeaseLost, WrongRegion
from inference.connectors.protocol import Beat, Consumer, ReplicaReport, ReplicaTarget
from meshkit.context import ServicePrincipal, current

QueueOf = Callable[[str], Consumer]
Plan = Callable[[ReplicaReport], Awaitable[ReplicaTarget]]


class LeaseServicer(pb_grpc.LeaseServiceServicer):
    """Serves LeaseService: each region sees only the leases that are its own."""

    def __init__(self, queue_of: QueueOf, plan: Plan) -> None:
        self._queue_of = queue_of
        self._plan = plan

    async def LeaseJobs(
        self, request: pb.LeaseJobsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.LeaseJobsResponse:
        """Wait for work and grant leases."""
        del context
        caller = _speaking_for(request.region)
        leases = await self._queue_of(caller).lease(messages.offer_of(request))
        return pb.LeaseJobsResponse(leases=[messages.lease_message(lease) for lease in leases])

    async def ExtendLeases(
        self, request: pb.ExtendLeasesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ExtendLeasesResponse:
        """Keep leases alive."""
        del context
        beats = [Beat(messages.key_of(key)) for key in request.leases]
        verdict = await self._queue_of(_calling_region()).extend(beats)
        return pb.ExtendLeasesResponse(
            lost_job_ids=[messages.job_text(key.job_id) for key in verdict.lost],
            canceled_job_ids=[messages.job_text(key.job_id) for key in verdict.canceled],
        )

    async def ReportProgress(
        self, request: pb.ReportProgressRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ReportProgressResponse:
        """Take in progress and keep the lease alive."""
        del context
        key = messages.key_of(request.lease)
        verdict = await self._queue_of(_calling_region()).extend(
            [Beat(key, request.step, request.steps)]
        )
        if key in verdict.lost:
            raise LeaseLost(key.job_id, key.fence)
        return pb.ReportProgressResponse(cancel_requested=key in verdict.canceled)

    async def CompleteJob(
        self, request: pb.CompleteJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.CompleteJobResponse:
        """Publish a job's outputs."""
        del context
        await self._queue_of(_calling_region()).complete(messages.completion_of(request))
        return pb.CompleteJobResponse()

    async def FailJob(
        self, request: pb.FailJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.FailJobResponse:
        """Give a lease up."""
        del context
        await self._queue_of(_calling_region()).fail(messages.failure_of(request))
        return pb.FailJobResponse()

    async def ReportReplicas(
        self, request: pb.ReportReplicasRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ReportReplicasResponse:
        """Take in what runs and say what should."""
        del context
        report = ReplicaReport(
            region=_speaking_for(request.region),
            model=request.model,
            running=request.running,
            minimum=request.minimum,
            maximum=request.maximum,
            run_seconds=request.run_seconds,
        )
        target = await self._plan(report)
        return pb.ReportReplicasResponse(target=target.replicas, reason=target.reason)


def _speaking_for(region: str) -> str:
    caller = _calling_region()
    if caller != region:
        raise WrongRegion(caller=caller, region=region)
    return caller


def _calling_region() -> str:
    principal = current().principal
    assert isinstance(principal, ServicePrincipal), "the method is declared for services only"
    return principal.name
