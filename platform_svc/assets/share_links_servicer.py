"""gRPC surface of share links, for members and for anybody with a token."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from reelmesh.platform.assets.v1 import assets_service_pb2 as assets_pb
from reelmesh.platform.assets.v1 import share_links_service_pb2 as pb
from reelmesh.platform.assets.v1 import share_links_service_pb2_grpc as pb_grpc

from meshkit.context import current, current_user
from meshkit.idempotency import Call
from meshkit.ids import parse_id
from meshkit.timestamps import timestamp
from platform_svc.assets.messages import link_message, shared_message
from platform_svc.assets.parsing import Context, asset_id_of, redirect
from platform_svc.assets.queries import AssetQueries
from platform_svc.assets.share import (
    DOWNLOAD_LIFETIME,
    LIFETIME_DEFAULT,
    ShareLink,
    token_of,
)
from platform_svc.assets.share_commands import ShareCommands, WantedLink
from platform_svc.assets.views import Views

PATH: Final = "/v1/shared?token="


class ShareLinksServicer(pb_grpc.ShareLinksServiceServicer):
    """Serves ShareLinksService; holds no state but its collaborators."""

    def __init__(self, commands: ShareCommands, queries: AssetQueries, views: Views) -> None:
        self._commands = commands
        self._queries = queries
        self._views = views

    async def CreateShareLink(
        self, request: pb.CreateShareLinkRequest, context: Context
    ) -> pb.CreateShareLinkResponse:
        """Make a link; what is remembered of the answer has no token, which follows from the id."""
        user = current_user()
        key = current().idempotency_key
        scope = str(user.organization_id)
        call = Call(scope, "CreateShareLink", key, request, pb.CreateShareLinkResponse)
        answer = await self._commands.create(_wanted(request), user, call, self._answer)
        link_id = parse_id("shl", answer.share_link.share_link_id, field="share_link_id")
        token = token_of(self._commands.peppers, link_id)
        return pb.CreateShareLinkResponse(
            share_link=answer.share_link, token=token, path=PATH + token
        )

    async def ListShareLinks(
        self, request: pb.ListShareLinksRequest, context: Context
    ) -> pb.ListShareLinksResponse:
        """Give an asset's links."""
        links = await self._queries.share_links(
            current_user().organization_id, asset_id_of(request.asset_id)
        )
        return pb.ListShareLinksResponse(share_links=map(self._message, links))

    async def RevokeShareLink(
        self, request: pb.RevokeShareLinkRequest, context: Context
    ) -> pb.ShareLink:
        """End a link."""
        link = await self._commands.revoke(
            current_user().organization_id,
            asset_id_of(request.asset_id),
            parse_id("shl", request.share_link_id, field="share_link_id"),
        )
        return self._message(link)

    async def GetSharedAsset(
        self, request: pb.GetSharedAssetRequest, context: Context
    ) -> pb.SharedAsset:
        """Show what a link is for."""
        link, asset = await self._commands.look(request.token)
        view = await self._views.of(asset, lifetime=DOWNLOAD_LIFETIME)
        return shared_message(link, view)

    async def DownloadSharedAsset(
        self, request: pb.DownloadSharedAssetRequest, context: Context
    ) -> assets_pb.DownloadAssetResponse:
        """Count a download and redirect to the bytes."""
        download = await self._queries.sign_shared(await self._commands.use(request.token))
        await redirect(context, download)
        return assets_pb.DownloadAssetResponse(
            url=download.url, expires_at=timestamp(download.expires_at)
        )

    def _answer(self, link: ShareLink) -> pb.CreateShareLinkResponse:
        return pb.CreateShareLinkResponse(share_link=self._message(link))

    def _message(self, link: ShareLink) -> pb.ShareLink:
        return link_message(link, self._commands.ambient.now())


def _wanted(request: pb.CreateShareLinkRequest) -> WantedLink:
    seconds = request.expires_in_seconds
    return WantedLink(
        asset_id_of(request.asset_id),
        timedelta(seconds=seconds) if seconds else LIFETIME_DEFAULT,
        request.downloads_max or None,
    )
