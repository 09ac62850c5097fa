"""The default connector's client: how a region works with its leases over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol, TypeVar, cast

import grpc
from reelmesh.inference.regions.v1 import lease_service_pb2 as pb
from reelmesh.inference.regions.v1 import lease_service_pb2_grpc as pb_grpc

from inference.connectors import messages
from inference.connectors.errors import LeaseLost
from inference.connectors.protocol import (
    Beat,
    Completion,
    Failure,
    Lease,
    LeaseKey,
    Offer,
    ReplicaReport,
    ReplicaTarget,
    Verdict,
)
from meshkit.stubs import RemoteError

StubT = TypeVar("StubT")

# The reply of a long poll needs time to travel after the wait is over.
TRAVEL_SECONDS: Final = 10.0

# Refusals that asking again cannot change; all else means that nobody could answer just now.
FINAL: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class SchedulerAway(Exception):
    """The scheduler did not answer; whether it heard the call is unknown."""


class StubSource(Protocol):
    """What gives stubs: a gRPC channel, or one that goes through a message broker."""

    def stub(self, stub_class: Callable[[Any], StubT]) -> StubT:
        """Return a generated stub whose calls go this way."""
        ...


class LeaseClient:
    """The consumer side of the connector over a channel that calls as the region."""

    def __init__(self, channel: StubSource) -> None:
        stub = channel.stub(pb_grpc.LeaseServiceStub)
        self._stub = cast("pb_grpc.LeaseServiceAsyncStub", stub)

    async def lease(self, offer: Offer) -> Sequence[Lease]:
        """Wait up to the offer's time for work.

        Raises:
            SchedulerAway: nobody answered; grants that got lost expire by themselves.
            RemoteError: the offer was refused.
        """
        try:
            reply = await self._stub.LeaseJobs(
                messages.offer_message(offer), timeout=offer.wait_seconds + TRAVEL_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from error
        return [messages.lease_of(lease) for lease in reply.leases]

    async def extend(self, beats: Sequence[Beat]) -> Verdict:
        """Keep leases alive; beats with progress are reported one by one.

        Raises:
            SchedulerAway: nobody answered.
        """
        lost: set[LeaseKey] = set()
        canceled: set[LeaseKey] = set()
        silent = {beat.key.job_id: beat.key for beat in beats if beat.step is None}
        if silent:
            reply = await self._extend(list(silent.values()))
            lost |= {silent[messages.job_id_of(text)] for text in reply.lost_job_ids}
            canceled |= {silent[messages.job_id_of(text)] for text in reply.canceled_job_ids}
        for beat in beats:
            if beat.step is not None:
                try:
                    if await self._report(beat):
                        canceled.add(beat.key)
                except LeaseLost:
                    lost.add(beat.key)
        return Verdict(frozenset(lost), frozenset(canceled))

    async def complete(self, completion: Completion) -> None:
        """Publish a job's outputs.

        Raises:
            LeaseLost: publish nothing.
            SchedulerAway: nobody answered; the same completion may be sent again.
        """
        try:
            await self._stub.CompleteJob(messages.completion_message(completion))
        except grpc.aio.AioRpcError as error:
            raise _refusal(error, completion.key) from error

    async def report_replicas(self, report: ReplicaReport) -> ReplicaTarget:
        """Say how many replicas run and learn how many should.

        Raises:
            SchedulerAway: nobody answered.
            RemoteError: the report was refused.
        """
        message = pb.ReportReplicasRequest(**asdict(report))
        try:
            reply = await self._stub.ReportReplicas(message)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from error
        return ReplicaTarget(reply.target, reply.reason)

    async def fail(self, failure: Failure) -> None:
        """Give a lease up.

        Raises:
            LeaseLost: the lease is not held any more.
            SchedulerAway: nobody answered; the same failure may be sent again.
        """
        try:
            await self._stub.FailJob(messages.failure_message(failure))
        except grpc.aio.AioRpcError as error:
            raise _refusal(error, failure.key) from error

    async def _extend(self, keys: Sequence[LeaseKey]) -> pb.ExtendLeasesResponse:
        request = pb.ExtendLeasesRequest(leases=[messages.key_message(key) for key in keys])
        try:
            return await self._stub.ExtendLeases(request)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from error

    async def _report(self, beat: Beat) -> bool:
        try:
            reply = await self._stub.ReportProgress(messages.progress_message(beat))
        except grpc.aio.AioRpcError as error:
            raise _refusal(error, beat.key) from error
        return reply.cancel_requested


def _refusal(error: grpc.aio.AioRpcError, key: LeaseKey | None = None) -> Exception:
    """Give the exception that a status stands for."""
    refusal = RemoteError.of(error)
    if refusal is not None and refusal.reason == LeaseLost.reason and key is not None:
        return LeaseLost(key.job_id, key.fence)
    if refusal is not None and error.code() in FINAL:
        return refusal
    return SchedulerAway(f"{error.code().name}: {error.details()}")
