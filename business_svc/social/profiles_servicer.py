"""gRPC surface of profiles: messages to values, one use case, values to messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from reelmesh.business.social.v1 import profile_pb2
from reelmesh.business.social.v1 import profiles_service_pb2 as pb
from reelmesh.business.social.v1 import profiles_service_pb2_grpc as pb_grpc

from business_svc.social.callers import plain, user_call, user_id, viewer_id
from business_svc.social.messages import profile_message
from business_svc.social.profile import Profile, ProfileChange, ProfileState
from business_svc.social.profile_commands import ProfileCommands
from business_svc.social.profile_queries import ProfileQueries

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class ProfilesServicer(pb_grpc.ProfilesServiceServicer):
    """Serves ProfilesService; holds no state but its collaborators."""

    commands: ProfileCommands
    queries: ProfileQueries

    async def CreateProfile(
        self, request: pb.CreateProfileRequest, context: Context
    ) -> profile_pb2.Profile:
        """Make the caller's profile."""
        profile = Profile(
            user_id=user_id(),
            handle=request.handle,
            display_name=plain(request.display_name, "display_name"),
            bio=plain(request.bio, "bio"),
            state=ProfileState.ACTIVE,
            created_at=self.commands.ambient.now(),
        )
        call = user_call("CreateProfile", request, profile_pb2.Profile)
        return await self.commands.create(profile, call, profile_message)

    async def GetProfile(
        self, request: pb.GetProfileRequest, context: Context
    ) -> profile_pb2.Profile:
        """Give a profile."""
        return profile_message(await self.queries.find(request.handle, viewer_id()))

    async def GetMyProfile(
        self, request: pb.GetMyProfileRequest, context: Context
    ) -> profile_pb2.Profile:
        """Give the caller's profile."""
        return profile_message(await self.queries.own(user_id()))

    async def UpdateMyProfile(
        self, request: pb.UpdateMyProfileRequest, context: Context
    ) -> profile_pb2.Profile:
        """Change the caller's profile."""
        change = ProfileChange(
            handle=request.handle if request.HasField("handle") else None,
            display_name=plain(request.display_name, "display_name")
            if request.HasField("display_name")
            else None,
            bio=plain(request.bio, "bio") if request.HasField("bio") else None,
        )
        return profile_message(await self.commands.change(user_id(), change))
