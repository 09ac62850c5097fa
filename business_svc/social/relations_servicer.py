"""gRPC surface of following and blocking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from reelmesh.business.social.v1 import profile_pb2
from reelmesh.business.social.v1 import relations_service_pb2 as pb
from reelmesh.business.social.v1 import relations_service_pb2_grpc as pb_grpc

from business_svc.social.callers import asked, user_id, viewer_id
from business_svc.social.messages import profile_message, summary_message
from business_svc.social.profile_queries import ProfileQueries
from business_svc.social.relation_commands import RelationCommands

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class RelationsServicer(pb_grpc.RelationsServiceServicer):
    """Serves RelationsService; holds no state but its collaborators."""

    commands: RelationCommands
    queries: ProfileQueries

    async def FollowProfile(
        self, request: pb.FollowProfileRequest, context: Context
    ) -> profile_pb2.Profile:
        """Follow a profile."""
        await self.commands.follow(user_id(), request.handle)
        return await self._profile(request.handle)

    async def UnfollowProfile(
        self, request: pb.UnfollowProfileRequest, context: Context
    ) -> profile_pb2.Profile:
        """Follow a profile no longer."""
        await self.commands.unfollow(user_id(), request.handle)
        return await self._profile(request.handle)

    async def BlockProfile(
        self, request: pb.BlockProfileRequest, context: Context
    ) -> profile_pb2.Profile:
        """Block a profile."""
        await self.commands.block(user_id(), request.handle)
        return await self._profile(request.handle)

    async def UnblockProfile(
        self, request: pb.UnblockProfileRequest, context: Context
    ) -> profile_pb2.Profile:
        """Block a profile no longer."""
        await self.commands.unblock(user_id(), request.handle)
        return await self._profile(request.handle)

    async def ListFollowers(
        self, request: pb.ListFollowersRequest, context: Context
    ) -> pb.ListFollowersResponse:
        """Give one page of who follows a profile."""
        page = await self.queries.followers(request.handle, viewer_id(), asked(request))
        return pb.ListFollowersResponse(
            profiles=map(summary_message, page.rows), next_page_token=page.next_page_token
        )

    async def ListFollowing(
        self, request: pb.ListFollowingRequest, context: Context
    ) -> pb.ListFollowingResponse:
        """Give one page of whom a profile follows."""
        page = await self.queries.following(request.handle, viewer_id(), asked(request))
        return pb.ListFollowingResponse(
            profiles=map(summary_message, page.rows), next_page_token=page.next_page_token
        )

    async def ListBlocks(
        self, request: pb.ListBlocksRequest, context: Context
    ) -> pb.ListBlocksResponse:
        """Give one page of whom the caller blocks."""
        page = await self.queries.blocks(user_id(), asked(request))
        return pb.ListBlocksResponse(
            profiles=map(summary_message, page.rows), next_page_token=page.next_page_token
        )

    async def _profile(self, handle: str) -> profile_pb2.Profile:
        return profile_message(await self.queries.find(handle, user_id()))
