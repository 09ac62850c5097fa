"""Files of organizations, kept by the platform: input images and finished pictures."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import assets_service_pb2_grpc as pb_grpc

from business_svc.tools.errors import AssetNotFound
from business_svc.tools.remote import Refused, answers_of
from business_svc.tools.runs import Output, Run, asset_id
from meshkit.ids import format_id
from meshkit.stubs import MeshChannel

PRESIGN_ASSETS_MAX = 100
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


class OutputRejected(Exception):
    """A finished object is missing, or is not what the region said it is."""


@dataclass(frozen=True, slots=True)
class Assets:
    """Reads and makes assets for runs; each call may be repeated without harm.

    Each raises `Unavailable` while the platform is away.
    """

    stub: pb_grpc.AssetsServiceAsyncStub

    @classmethod
    def over(cls, channel: MeshChannel) -> Self:
        """Return what calls through the channel."""
        # A stub on an asynchronous channel is asynchronous, which its class does not say.
        return cls(cast("pb_grpc.AssetsServiceAsyncStub", channel.stub(pb_grpc.AssetsServiceStub)))

    async def object_key(self, organization_id: uuid.UUID, asset: str) -> str:
        """Return where the bytes of an organization's ready asset lie.

        Raises:
            AssetNotFound: the organization has no such picture, or it is not ready.
        """
        request = pb.ResolveAssetRequest(org_id=format_id("org", organization_id), asset_id=asset)
        try:
            with answers_of("platform"):
                found = await self.stub.ResolveAsset(request)
        except Refused as refusal:
            raise AssetNotFound(asset) from refusal
        if found.content_type not in EXTENSIONS:
            raise AssetNotFound(asset)
        return found.object_key

    async def keep(self, run: Run) -> None:
        """Make an asset out of each output of the run's job.

        Raises:
            OutputRejected: an output is missing or does not verify.
        """
        for index, output in enumerate(run.outputs):
            try:
                with answers_of("platform"):
                    await self.stub.ImportAsset(_import(run, index, output))
            except Refused as refusal:
                why = " ".join(filter(None, (refusal.reason, refusal.metadata.get("detail"))))
                raise OutputRejected(f"output {index} was rejected: {why}") from refusal

    async def urls(self, organization_id: uuid.UUID, assets: Sequence[uuid.UUID]) -> dict[str, str]:
        """Return a URL for each asset that still exists, by public id."""
        names = [format_id("ast", asset) for asset in assets]
        requests = [
            pb.PresignDownloadsRequest(
                org_id=format_id("org", organization_id),
                asset_ids=names[start : start + PRESIGN_ASSETS_MAX],
            )
            for start in range(0, len(names), PRESIGN_ASSETS_MAX)
        ]
        with answers_of("platform"):
            replies = await asyncio.gather(*map(self._presign, requests))
        return {asset: url for reply in replies for asset, url in reply.urls.items()}

    async def _presign(self, request: pb.PresignDownloadsRequest) -> pb.PresignDownloadsResponse:
        return await self.stub.PresignDownloads(request)


def _import(run: Run, index: int, output: Output) -> pb.ImportAssetRequest:
    extension = EXTENSIONS.get(output.content_type, "bin")
    return pb.ImportAssetRequest(
        asset_id=format_id("ast", asset_id(run.id, index)),
        org_id=format_id("org", run.organization_id),
        source_key=output.object_key,
        content_type=output.content_type,
        size_bytes=output.size_bytes,
        sha256=output.sha256,
        filename=f"{run.spec.tool}-{index + 1}.{extension}",
        run_id=format_id("run", run.id),
    )
