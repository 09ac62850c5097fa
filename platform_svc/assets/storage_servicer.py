"""gRPC surface of quotas and of the comparison with the store."""

from __future__ import annotations

from reelmesh.platform.assets.v1 import storage_service_pb2 as pb
from reelmesh.platform.assets.v1 import storage_service_pb2_grpc as pb_grpc

from platform_svc.assets.messages import orphan_message, report_message, usage_message
from platform_svc.assets.parsing import Context, org_id_of
from platform_svc.assets.reconciliation import Reconciler
from platform_svc.assets.storage_commands import StorageCommands
from platform_svc.assets.usage import OwnQuota


class StorageServicer(pb_grpc.StorageServiceServicer):
    """Serves StorageService; holds no state but its collaborators."""

    def __init__(self, commands: StorageCommands, reconciler: Reconciler) -> None:
        self._commands = commands
        self._reconciler = reconciler

    async def GetStorageUsage(
        self, request: pb.GetStorageUsageRequest, context: Context
    ) -> pb.StorageUsage:
        """Give what an organization stores and may store."""
        usage = await self._commands.usage(org_id_of(request.org_id))
        return usage_message(usage, self._commands.default)

    async def SetStorageQuota(
        self, request: pb.SetStorageQuotaRequest, context: Context
    ) -> pb.StorageUsage:
        """Give an organization bounds of its own."""
        quota = OwnQuota(
            request.bytes_max if request.HasField("bytes_max") else None,
            request.assets_max if request.HasField("assets_max") else None,
        )
        usage = await self._commands.bound(org_id_of(request.org_id), quota)
        return usage_message(usage, self._commands.default)

    async def ListOrphans(
        self, request: pb.ListOrphansRequest, context: Context
    ) -> pb.ListOrphansResponse:
        """Give one page of what the last comparisons found."""
        orphans, token = await self._commands.orphans(
            page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListOrphansResponse(orphans=map(orphan_message, orphans), next_page_token=token)

    async def ReconcileStorage(
        self, request: pb.ReconcileStorageRequest, context: Context
    ) -> pb.ReconcileStorageResponse:
        """Compare now."""
        return report_message(await self._reconciler.reconcile())
