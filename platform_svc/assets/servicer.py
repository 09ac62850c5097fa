"""gRPC surface of assets: messages to values, one use case, values to messages."""

from __future__ import annotations

from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import assets_service_pb2_grpc as pb_grpc

from meshkit.context import current, current_user
from meshkit.errors import InvalidRequest
from meshkit.idempotency import Call
from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.assets.asset import RESULT_KEY, Contents
from platform_svc.assets.commands import AssetCommands
from platform_svc.assets.import_commands import Import, ImportCommands
from platform_svc.assets.messages import asset_message, create_response
from platform_svc.assets.parsing import Context, asset_id_of, org_id_of, redirect
from platform_svc.assets.queries import AssetQueries
from platform_svc.assets.trash_commands import TrashCommands
from platform_svc.assets.views import Views


class AssetsServicer(pb_grpc.AssetsServiceServicer):
    """Serves AssetsService; holds no state but its collaborators."""

    def __init__(
        self,
        commands: AssetCommands,
        imports: ImportCommands,
        trash: TrashCommands,
        queries: AssetQueries,
        views: Views,
    ) -> None:
        self._commands = commands
        self._imports = imports
        self._trash = trash
        self._queries = queries
        self._views = views

    async def CreateAsset(
        self, request: pb.CreateAssetRequest, context: Context
    ) -> pb.CreateAssetResponse:
        """Reserve an asset and sign its upload."""
        org_id = current_user().organization_id
        key = current().idempotency_key
        call = Call(str(org_id), "CreateAsset", key, request, pb.CreateAssetResponse)
        return await self._commands.create(
            org_id, _contents(request), call, create_response, in_parts=request.multipart
        )

    async def CompleteAsset(self, request: pb.CompleteAssetRequest, context: Context) -> pb.Asset:
        """Verify an upload."""
        org_id = current_user().organization_id
        asset = await self._commands.complete(org_id, asset_id_of(request.asset_id))
        return asset_message(await self._views.of(asset))

    async def GetAsset(self, request: pb.GetAssetRequest, context: Context) -> pb.Asset:
        """Give one asset."""
        org_id = current_user().organization_id
        asset = await self._queries.get(org_id, asset_id_of(request.asset_id))
        return asset_message(await self._views.of(asset))

    async def ListAssets(
        self, request: pb.ListAssetsRequest, context: Context
    ) -> pb.ListAssetsResponse:
        """Give one page of the organization's assets."""
        page = await self._queries.page(
            current_user().organization_id,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        views = await self._views.of_all(page.assets)
        return pb.ListAssetsResponse(
            assets=map(asset_message, views), next_page_token=page.next_page_token
        )

    async def DownloadAsset(
        self, request: pb.DownloadAssetRequest, context: Context
    ) -> pb.DownloadAssetResponse:
        """Redirect to the asset's bytes."""
        org_id = current_user().organization_id
        download = await self._queries.download(org_id, asset_id_of(request.asset_id))
        await redirect(context, download)
        return pb.DownloadAssetResponse(url=download.url, expires_at=timestamp(download.expires_at))

    async def DeleteAsset(
        self, request: pb.DeleteAssetRequest, context: Context
    ) -> pb.DeleteAssetResponse:
        """Put an asset into the trash, or remove one that is not ready."""
        await self._trash.delete(current_user().organization_id, asset_id_of(request.asset_id))
        return pb.DeleteAssetResponse()

    async def ImportAsset(self, request: pb.ImportAssetRequest, context: Context) -> pb.Asset:
        """Make a ready asset of a result."""
        asset = await self._imports.import_result(_import(request))
        return asset_message(await self._views.of(asset))

    async def ResolveAsset(
        self, request: pb.ResolveAssetRequest, context: Context
    ) -> pb.ResolveAssetResponse:
        """Tell where a ready asset's bytes lie."""
        asset = await self._queries.get_ready(
            org_id_of(request.org_id), asset_id_of(request.asset_id)
        )
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
        urls = await self._queries.presign(org_id_of(request.org_id), ids)
        return pb.PresignDownloadsResponse(
            urls={format_id("ast", asset_id): url for asset_id, url in urls.items()}
        )


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
        asset_id=asset_id_of(message.asset_id),
        org_id=org_id_of(message.org_id),
        source_key=message.source_key,
        contents=_contents(message),
        run_id=parse_id("run", message.run_id, field="run_id") if message.run_id else None,
    )
