"""gRPC surface of published assets: messages to values, one use case, values to messages."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import grpc
from reelmesh.platform.assets.v1 import publications_service_pb2 as pb
from reelmesh.platform.assets.v1 import publications_service_pb2_grpc as pb_grpc

from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.assets.publications import Copy, Publications

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class PublicationsServicer(pb_grpc.PublicationsServiceServicer):
    """Serves PublicationsService; holds no state but its collaborator."""

    publications: Publications

    async def DescribeAsset(
        self, request: pb.DescribeAssetRequest, context: Context
    ) -> pb.DescribeAssetResponse:
        """Tell what a ready asset is."""
        asset = await self.publications.describe(*_asset(request))
        return pb.DescribeAssetResponse(
            content_type=asset.contents.content_type,
            width=asset.dimensions.width if asset.dimensions else 0,
            height=asset.dimensions.height if asset.dimensions else 0,
            run_id=format_id("run", asset.run_id) if asset.run_id else "",
        )

    async def PresignPicture(
        self, request: pb.PresignPictureRequest, context: Context
    ) -> pb.PresignPictureResponse:
        """Sign a GET of a ready asset."""
        download = await self.publications.show(*_asset(request))
        expires_at = timestamp(download.expires_at)
        return pb.PresignPictureResponse(url=download.url, expires_at=expires_at)

    async def CopyAsset(
        self, request: pb.CopyAssetRequest, context: Context
    ) -> pb.CopyAssetResponse:
        """Copy an asset to another organization."""
        asset = await self.publications.copy(
            Copy(
                source_org_id=parse_id("org", request.source_org_id, field="source_org_id"),
                source_asset_id=parse_id("ast", request.source_asset_id, field="source_asset_id"),
                org_id=parse_id("org", request.org_id, field="org_id"),
                asset_id=parse_id("ast", request.asset_id, field="asset_id"),
            )
        )
        return pb.CopyAssetResponse(asset_id=format_id("ast", asset.id))


def _asset(
    request: pb.DescribeAssetRequest | pb.PresignPictureRequest,
) -> tuple[uuid.UUID, uuid.UUID]:
    return (
        parse_id("org", request.org_id, field="org_id"),
        parse_id("ast", request.asset_id, field="asset_id"),
    )
