"""gRPC surface of assets: messages to values, one use case, values to messages."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import assets_service_pb2_grpc as pb_grpc

from meshkit.context import current, current_user
from meshkit.errors import InvalidRequest
from meshkit.idempotency import Call
from meshkit.ids import format_id, parse_id
from platform_svc.assets.asset import RESULT_KEY, Asset, Contents
from platform_svc.assets.commands import AssetCommands, Import, Upload
from platform_svc.assets.queries import AssetQueries

Context = grpc.aio.ServicerContext[Any, Any]

FOUND = "302"


class AssetsServicer(pb_grpc.AssetsServiceServicer):
    """Serves AssetsService; holds no state but its collaborators."""

    def __init__(self, commands: AssetCommands, queries: AssetQueries) -> None:
        self._commands = commands
        self._queries = queries

    async def CreateAsset(
        self, request: pb.CreateAssetRequest, context: Context
    ) -> pb.CreateAssetResponse:
        """Reserve an asset and sign its upload."""
        org_id = current_user().organization_id
        key = current().idempotency_key
        call = Call(str(org_id), "CreateAsset", key, request, pb.CreateAssetResponse)
        return await self._commands.create(org_id, _contents(request), call, _create_response)

    async def CompleteAsset(self, request: pb.CompleteAssetRequest, context: Context) -> pb.Asset:
        """Verify an upload."""
        org_id = current_user().organization_id
        return _asset_message(await self._commands.complete(org_id, _asset_id(request.asset_id)))

    async def GetAsset(self, request: pb.GetAssetRequest, context: Context) -> pb.Asset:
        """Give one asset."""
        org_id = current_user().organization_id
        return _asset_message(await self._queries.get(org_id, _asset_id(request.asset_id)))

    async def ListAssets(
        self, request: pb.ListAssetsRequest, context: Context
    ) -> pb.ListAssetsResponse:
        """Give one page of the organization's assets."""
        page = await self._queries.page(
            current_user().organization_id,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListAssetsResponse(
            assets=[_asset_message(asset) for asset in page.assets],
            next_page_token=page.next_page_token,
        )

    async def DownloadAsset(
        self, request: pb.DownloadAssetRequest, context: Context
    ) -> pb.DownloadAssetResponse:
        """Redirect to the asset's bytes; the edge turns the metadata into status and header."""
        org_id = current_user().organization_id
        download = await self._queries.download(org_id, _asset_id(request.asset_id))
        await context.send_initial_metadata((("x-http-code", FOUND), ("location", download.url)))
        return pb.DownloadAssetResponse(
            url=download.url, expires_at=_timestamp(download.expires_at)
        )

    async def DeleteAsset(
        self, request: pb.DeleteAssetRequest, context: Context
    ) -> pb.DeleteAssetResponse:
        """Delete an asset and its bytes."""
        await self._commands.delete(current_user().organization_id, _asset_id(request.asset_id))
        return pb.DeleteAssetResponse()

    async def ImportAsset(self, request: pb.ImportAssetRequest, context: Context) -> pb.Asset:
        """Make a ready asset of a result."""
        return _asset_message(await self._commands.import_result(_import(request)))

    async def ResolveAsset(
        self, request: pb.ResolveAssetRequest, context: Context
    ) -> pb.ResolveAssetResponse:
        """Tell where a ready asset's bytes lie."""
        asset = await self._queries.get_ready(_org_id(request.org_id), _asset_id(request.asset_id))
        return pb.ResolveAssetResponse(
            object_key=asset.object_key,
            content_type=asset.contents.content_type,
            size_bytes=asset.contents.size_bytes,
            sha256=asset.contents.sha256,
        )

    async def PresignDownloads(
        self, request: pb.PresignDownloadsRequest, context: Context
    ) -> pb.PresignDownloadsResponse:
        """Sign downloads of several assets."""
        ids = [parse_id("ast", text, field="asset_ids") for text in request.asset_ids]
        urls = await self._queries.presign(_org_id(request.org_id), ids)
        return pb.PresignDownloadsResponse(
            urls={format_id("ast", asset_id): url for asset_id, url in urls.items()}
        )


def _org_id(text: str) -> uuid.UUID:
    return parse_id("org", text, field="org_id")


def _asset_id(text: str) -> uuid.UUID:
    return parse_id("ast", text, field="asset_id")


def _contents(message: pb.CreateAssetRequest | pb.ImportAssetRequest) -> Contents:
    if not message.filename.isprintable():
        raise InvalidRequest(
            "the file name has control characters",
            field_violations=[("filename", "must be printable")],
        )
    return Contents(message.filename, message.content_type, message.size_bytes, message.sha256)


def _import(message: pb.ImportAssetRequest) -> Import:
    if not RESULT_KEY.fullmatch(message.source_key):
        raise InvalidRequest(
            "the source is no key of a result",
            field_violations=[("source_key", "must be plain names between slashes")],
        )
    return Import(
        asset_id=_asset_id(message.asset_id),
        org_id=_org_id(message.org_id),
        source_key=message.source_key,
        contents=_contents(message),
        run_id=parse_id("run", message.run_id, field="run_id") if message.run_id else None,
    )


def _create_response(upload: Upload) -> pb.CreateAssetResponse:
    assert upload.asset.upload_ends_at is not None
    return pb.CreateAssetResponse(
        asset=_asset_message(upload.asset),
        upload=pb.Upload(
            method="PUT",
            url=upload.put.url,
            headers=upload.put.headers,
            expires_at=_timestamp(upload.asset.upload_ends_at),
        ),
    )


def _asset_message(asset: Asset) -> pb.Asset:
    return pb.Asset(
        asset_id=format_id("ast", asset.id),
        org_id=format_id("org", asset.org_id),
        filename=asset.contents.filename,
        content_type=asset.contents.content_type,
        size_bytes=asset.contents.size_bytes,
        sha256=asset.contents.sha256,
        state=asset.state.value,
        width=asset.dimensions.width if asset.dimensions else None,
        height=asset.dimensions.height if asset.dimensions else None,
        run_id=format_id("run", asset.run_id) if asset.run_id else None,
        created_at=_timestamp(asset.created_at),
    )


def _timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message
