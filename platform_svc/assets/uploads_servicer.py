"""gRPC surface of uploads in parts."""

from __future__ import annotations

from reelmesh.platform.assets.v1 import uploads_service_pb2 as pb
from reelmesh.platform.assets.v1 import uploads_service_pb2_grpc as pb_grpc

from meshkit.clock import Ambient
from meshkit.context import current_user
from platform_svc.assets.commands import AssetCommands
from platform_svc.assets.messages import plan_message, upload_message
from platform_svc.assets.parsing import Context, asset_id_of
from platform_svc.assets.parts import PART_LIFETIME_MAX, UploadParts


class UploadsServicer(pb_grpc.UploadsServiceServicer):
    """Serves UploadsService; holds no state but its collaborators."""

    def __init__(self, commands: AssetCommands, parts: UploadParts, ambient: Ambient) -> None:
        self._commands = commands
        self._parts = parts
        self._ambient = ambient

    async def PresignParts(
        self, request: pb.PresignPartsRequest, context: Context
    ) -> pb.PresignPartsResponse:
        """Sign uploads of parts."""
        now = self._ambient.now()
        asset, signed = await self._parts.presign(
            current_user().organization_id, asset_id_of(request.asset_id), request.part_numbers
        )
        assert asset.upload_ends_at is not None
        expires_at = min(asset.upload_ends_at, now + PART_LIFETIME_MAX)
        return pb.PresignPartsResponse(
            parts=[
                pb.PartUpload(
                    part_number=part.number,
                    size_bytes=part.size_bytes,
                    upload=upload_message(part.put, expires_at),
                )
                for part in signed
            ]
        )

    async def ListParts(
        self, request: pb.ListPartsRequest, context: Context
    ) -> pb.ListPartsResponse:
        """Give the parts that have arrived."""
        asset, parts = await self._parts.arrived(
            current_user().organization_id, asset_id_of(request.asset_id)
        )
        return pb.ListPartsResponse(
            parts_plan=plan_message(asset),
            parts=[
                pb.UploadedPart(part_number=part.number, size_bytes=part.size_bytes)
                for part in parts
            ],
        )

    async def AbortUpload(
        self, request: pb.AbortUploadRequest, context: Context
    ) -> pb.AbortUploadResponse:
        """Give an upload up."""
        await self._commands.abort(current_user().organization_id, asset_id_of(request.asset_id))
        return pb.AbortUploadResponse()
