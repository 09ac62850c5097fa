"""gRPC surface of posts: messages to values, one use case, values to messages."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import grpc
from reelmesh.business.social.v1 import post_pb2
from reelmesh.business.social.v1 import posts_service_pb2 as pb
from reelmesh.business.social.v1 import posts_service_pb2_grpc as pb_grpc

from business_svc.social.callers import asked, plain, user_call, user_id, viewer_id
from business_svc.social.messages import PREFIX_OF_MEDIA, ancestor_message, post_message
from business_svc.social.post import Draft, MediaKind, MediaReference, PostChange, Visibility
from business_svc.social.post_commands import PostCommands
from business_svc.social.post_queries import PostQueries
from business_svc.social.remix_commands import RemixCommands, Remixer
from meshkit.context import current_user
from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp

Context = grpc.aio.ServicerContext[Any, Any]

FOUND = "302"


@dataclass(frozen=True, slots=True)
class PostsServicer(pb_grpc.PostsServiceServicer):
    """Serves PostsService; holds no state but its collaborators."""

    commands: PostCommands
    remixing: RemixCommands
    queries: PostQueries

    async def CreatePost(self, request: pb.CreatePostRequest, context: Context) -> post_pb2.Post:
        """Publish an asset."""
        call = user_call("CreatePost", request, post_pb2.Post)
        return await self.commands.create(_draft(request), call, post_message)

    async def GetPost(self, request: pb.GetPostRequest, context: Context) -> post_pb2.Post:
        """Give a post."""
        return post_message(await self.queries.find(post_id_of(request), viewer_id()))

    async def UpdatePost(self, request: pb.UpdatePostRequest, context: Context) -> post_pb2.Post:
        """Change a post."""
        post_id = post_id_of(request)
        await self.commands.change(user_id(), post_id, _change(request))
        return post_message(await self.queries.find(post_id, user_id()))

    async def DeletePost(
        self, request: pb.DeletePostRequest, context: Context
    ) -> pb.DeletePostResponse:
        """Take a post away."""
        await self.commands.delete(user_id(), post_id_of(request))
        return pb.DeletePostResponse()

    async def ListProfilePosts(
        self, request: pb.ListProfilePostsRequest, context: Context
    ) -> pb.ListProfilePostsResponse:
        """Give one page of a profile's posts."""
        page = await self.queries.of_profile(request.handle, viewer_id(), asked(request))
        return pb.ListProfilePostsResponse(
            posts=map(post_message, page.rows), next_page_token=page.next_page_token
        )

    async def ShowPicture(
        self, request: pb.ShowPictureRequest, context: Context
    ) -> pb.ShowPictureResponse:
        """Redirect to a picture's bytes; the edge turns the metadata into status and header."""
        shown = await self.queries.picture(post_id_of(request), viewer_id())
        await context.send_initial_metadata((("x-http-code", FOUND), ("location", shown.url)))
        return pb.ShowPictureResponse(url=shown.url, expires_at=timestamp(shown.expires_at))

    async def RemixPost(
        self, request: pb.RemixPostRequest, context: Context
    ) -> pb.RemixPostResponse:
        """Hand out a copy of a post's picture."""

        def respond(asset_id: uuid.UUID) -> pb.RemixPostResponse:
            return pb.RemixPostResponse(
                asset_id=format_id("ast", asset_id), post_id=request.post_id
            )

        user = current_user()
        call = user_call("RemixPost", request, pb.RemixPostResponse)
        return await self.remixing.remix(
            Remixer(user.user_id, user.organization_id), post_id_of(request), call, respond, _copy
        )

    async def ListRemixes(
        self, request: pb.ListRemixesRequest, context: Context
    ) -> pb.ListRemixesResponse:
        """Give one page of a post's remixes."""
        page = await self.queries.remixes(post_id_of(request), viewer_id(), asked(request))
        return pb.ListRemixesResponse(
            posts=map(post_message, page.rows), next_page_token=page.next_page_token
        )

    async def GetLineage(
        self, request: pb.GetLineageRequest, context: Context
    ) -> pb.GetLineageResponse:
        """Give what a post was made of."""
        ancestors = await self.queries.lineage(post_id_of(request), viewer_id())
        return pb.GetLineageResponse(ancestors=map(ancestor_message, ancestors))


def post_id_of(request: Any) -> uuid.UUID:
    """Return the post that a request names."""
    return parse_id("pst", request.post_id, field="post_id")


def _draft(request: pb.CreatePostRequest) -> Draft:
    user = current_user()
    kind = MediaKind(request.media.kind)
    media_id = parse_id(PREFIX_OF_MEDIA[kind], request.media.id, field="media.id")
    return Draft(
        author_id=user.user_id,
        organization_id=user.organization_id,
        reference=MediaReference(kind, media_id),
        caption=plain(request.caption, "caption"),
        alt_text=plain(request.alt_text, "alt_text"),
        visibility=Visibility(request.visibility or Visibility.PUBLIC),
        allows_remix=request.allows_remix if request.HasField("allows_remix") else True,
    )


def _change(request: pb.UpdatePostRequest) -> PostChange:
    return PostChange(
        caption=plain(request.caption, "caption") if request.HasField("caption") else None,
        alt_text=plain(request.alt_text, "alt_text") if request.HasField("alt_text") else None,
        visibility=Visibility(request.visibility) if request.HasField("visibility") else None,
        allows_remix=request.allows_remix if request.HasField("allows_remix") else None,
    )


def _copy(answer: pb.RemixPostResponse) -> uuid.UUID:
    return parse_id("ast", answer.asset_id, field="asset_id")
