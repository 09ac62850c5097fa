"""gRPC surface of the trash."""

from __future__ import annotations

from reelmesh.platform.assets.v1 import assets_service_pb2 as assets_pb
from reelmesh.platform.assets.v1 import trash_service_pb2 as pb
from reelmesh.platform.assets.v1 import trash_service_pb2_grpc as pb_grpc

from meshkit.context import current_user
from platform_svc.assets.messages import asset_message
from platform_svc.assets.parsing import Context, asset_id_of
from platform_svc.assets.queries import AssetQueries
from platform_svc.assets.trash_commands import TrashCommands
from platform_svc.assets.views import Views


class TrashServicer(pb_grpc.TrashServiceServicer):
    """Serves TrashService; holds no state but its collaborators."""

    def __init__(self, commands: TrashCommands, queries: AssetQueries, views: Views) -> None:
        self._commands = commands
        self._queries = queries
        self._views = views

    async def ListTrash(
        self, request: pb.ListTrashRequest, context: Context
    ) -> pb.ListTrashResponse:
        """Give one page of the organization's trash."""
        page = await self._queries.trash_page(
            current_user().organization_id,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        views = await self._views.of_all(page.assets)
        return pb.ListTrashResponse(
            assets=map(asset_message, views), next_page_token=page.next_page_token
        )

    async def RestoreAsset(
        self, request: pb.RestoreAssetRequest, context: Context
    ) -> assets_pb.Asset:
        """Take an asset out of the trash."""
        asset = await self._commands.restore(
            current_user().organization_id, asset_id_of(request.asset_id)
        )
        return asset_message(await self._views.of(asset))

    async def PurgeAsset(
        self, request: pb.PurgeAssetRequest, context: Context
    ) -> pb.PurgeAssetResponse:
        """Remove an asset of the trash for good."""
        await self._commands.purge(current_user().organization_id, asset_id_of(request.asset_id))
        return pb.PurgeAssetResponse()

    async def EmptyTrash(
        self, request: pb.EmptyTrashRequest, context: Context
    ) -> pb.EmptyTrashResponse:
        """Remove all that lies in the trash for good."""
        purged = await self._commands.empty(current_user().organization_id)
        return pb.EmptyTrashResponse(purged_count=purged)
