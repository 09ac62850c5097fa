"""Pictures of organizations, which the platform keeps."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self, cast

from reelmesh.platform.assets.v1 import publications_service_pb2 as pb
from reelmesh.platform.assets.v1 import publications_service_pb2_grpc as pb_grpc

from business_svc.social.errors import NoRoomForCopy
from business_svc.social.remote import Refused, answers_of
from meshkit.ids import format_id, parse_id
from meshkit.stubs import MeshChannel

NO_ROOM: Final = "STORAGE_QUOTA_EXCEEDED"


class AssetMissing(Exception):
    """The organization has no such asset, or it is not ready."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What an asset is; sizes in pixels, 0 if unknown. `run_id` made it, if a run did."""

    content_type: str
    width: int
    height: int
    run_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Shown:
    """An address of a picture's bytes, until it expires."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Assets:
    """Asks the platform; each call may be repeated, and raises `Unavailable` if it is away."""

    stub: pb_grpc.PublicationsServiceAsyncStub

    @classmethod
    def over(cls, channel: MeshChannel) -> Self:
        """Return what calls through the channel."""
        # A stub on an asynchronous channel is asynchronous, which its class does not say.
        stub = channel.stub(pb_grpc.PublicationsServiceStub)
        return cls(cast("pb_grpc.PublicationsServiceAsyncStub", stub))

    async def describe(self, organization_id: uuid.UUID, asset_id: uuid.UUID) -> Picture:
        """Return what a ready asset is.

        Raises:
            AssetMissing: there is none.
        """
        request = pb.DescribeAssetRequest(
            org_id=format_id("org", organization_id), asset_id=format_id("ast", asset_id)
        )
        try:
            with answers_of("assets"):
                found = await self.stub.DescribeAsset(request)
        except Refused as refusal:
            raise AssetMissing from refusal
        run_id = parse_id("run", found.run_id, field="run_id") if found.run_id else None
        return Picture(found.content_type, found.width, found.height, run_id)

    async def show(self, organization_id: uuid.UUID, asset_id: uuid.UUID) -> Shown:
        """Return an address that is good for a minute. Raises as `describe` does."""
        request = pb.PresignPictureRequest(
            org_id=format_id("org", organization_id), asset_id=format_id("ast", asset_id)
        )
        try:
            with answers_of("assets"):
                shown = await self.stub.PresignPicture(request)
        except Refused as refusal:
            raise AssetMissing from refusal
        return Shown(shown.url, shown.expires_at.ToDatetime(tzinfo=UTC))

    async def copy(
        self, source: tuple[uuid.UUID, uuid.UUID], target: tuple[uuid.UUID, uuid.UUID]
    ) -> None:
        """Copy an asset; both are pairs of organization and asset.

        Raises:
            AssetMissing: the source is not there, or not ready.
            NoRoomForCopy: the target's organization stores as much as it may.
            Unavailable: assets is away.
        """
        request = pb.CopyAssetRequest(
            source_org_id=format_id("org", source[0]),
            source_asset_id=format_id("ast", source[1]),
            org_id=format_id("org", target[0]),
            asset_id=format_id("ast", target[1]),
        )
        try:
            with answers_of("assets"):
                await self.stub.CopyAsset(request)
        except Refused as refusal:
            if refusal.reason == NO_ROOM:
                raise NoRoomForCopy from refusal
            raise AssetMissing from refusal
