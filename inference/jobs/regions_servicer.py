"""gRPC surface of RegionsService, which operators call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc
from reelmesh.inference.regions.v1 import regions_service_pb2 as pb
from reelmesh.inference.regions.v1 import regions_service_pb2_grpc as pb_grpc

from inference.jobs.region_commands import RegionCommands
from inference.jobs.region_store import PlacementRecord, RegionRecord, RegionState
from inference.jobs.replica_commands import ReplicaCommands, ReplicasRecord, ScalingRecord
from inference.scheduler.loop import Sighting
from meshkit.context import current_user
from meshkit.ids import format_id

PAGE_DEFAULT: Final = 50

Sightings = Callable[[], Mapping[str, Sighting]]


class RegionsServicer(pb_grpc.RegionsServiceServicer):
    """Serves RegionsService; `sightings` tells what regions said when they asked for work."""

    def __init__(
        self,
        commands: RegionCommands,
        replicas: ReplicaCommands,
        sightings: Sightings,
        prices: Mapping[str, float],
    ) -> None:
        self._commands = commands
        self._replicas = replicas
        self._sightings = sightings
        self._prices = prices

    async def ListRegions(
        self, request: pb.ListRegionsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListRegionsResponse:
        """List the regions."""
        del request, context
        # A region is known before it reports, so whoever has reported is among those read later.
        reports = await self._replicas.reported()
        regions = {one.name: self._message(one) for one in await self._commands.regions()}
        for reported in reports:
            regions[reported.region].replicas.append(_replicas(reported))
        return pb.ListRegionsResponse(regions=regions.values())

    async def CordonRegion(
        self, request: pb.CordonRegionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.Region:
        """Give a region no new work."""
        del context
        return await self._set(request.region, RegionState.CORDONED, request.note)

    async def DrainRegion(
        self, request: pb.DrainRegionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.Region:
        """Empty a region."""
        del context
        return await self._set(request.region, RegionState.DRAINING, request.note)

    async def UncordonRegion(
        self, request: pb.UncordonRegionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.Region:
        """Put a region back into service."""
        del context
        return await self._set(request.region, RegionState.ACTIVE, request.note)

    async def ListPlacements(
        self, request: pb.ListPlacementsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListPlacementsResponse:
        """List the newest placements."""
        del context
        records = await self._commands.placements(request.page_size or PAGE_DEFAULT)
        return pb.ListPlacementsResponse(placements=[_placement(one) for one in records])

    async def ListScalingDecisions(
        self, request: pb.ListScalingDecisionsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListScalingDecisionsResponse:
        """List the newest changes of targets."""
        del context
        records = await self._replicas.decisions(request.page_size or PAGE_DEFAULT)
        return pb.ListScalingDecisionsResponse(decisions=[_decision(one) for one in records])

    async def _set(self, name: str, state: RegionState, note: str) -> pb.Region:
        note = note.replace("\x00", "")  # Postgres refuses NULs.
        return self._message(await self._commands.set_state(name, state, current_user(), note=note))

    def _message(self, record: RegionRecord) -> pb.Region:
        message = pb.Region(
            name=record.name,
            state=record.public_state,
            note=record.note,
            changed_by=record.changed_by,
            waiting_leases=record.waiting,
            running_leases=record.running,
            backlog_seconds=record.backlog_seconds,
            price=self._prices.get(record.name, 1.0),
        )
        message.changed_at.FromDatetime(record.changed_at)
        seen = self._sightings().get(record.name)
        if seen is not None:
            message.seen_at.FromDatetime(seen.at)
            message.models.extend(sorted(seen.models))
            message.warm_models.extend(sorted(seen.warm_models))
        return message


def _replicas(record: ReplicasRecord) -> pb.Replicas:
    return pb.Replicas(
        model=record.model,
        running=record.running,
        target=record.target,
        minimum=record.minimum,
        maximum=record.maximum,
        reason=record.reason,
    )


def _decision(record: ScalingRecord) -> pb.ScalingDecision:
    message = pb.ScalingDecision(
        region=record.region,
        model=record.model,
        before=record.before,
        after=record.after,
        reason=record.reason,
    )
    message.decided_at.FromDatetime(record.decided_at)
    return message


def _placement(record: PlacementRecord) -> pb.PlacementRecord:
    message = pb.PlacementRecord(
        job_id=format_id("job", record.job_id), fence=record.fence, reason=record.reason
    )
    message.placed_at.FromDatetime(record.at)
    return message
