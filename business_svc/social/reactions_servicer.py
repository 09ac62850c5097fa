"""gRPC surface of likes and comments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from reelmesh.business.social.v1 import post_pb2
from reelmesh.business.social.v1 import reactions_service_pb2 as pb
from reelmesh.business.social.v1 import reactions_service_pb2_grpc as pb_grpc

from business_svc.social.callers import asked, plain, user_call, user_id, viewer_id
from business_svc.social.messages import comment_message, post_message
from business_svc.social.post_queries import PostQueries
from business_svc.social.reaction_commands import ReactionCommands
from meshkit.ids import parse_id

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class ReactionsServicer(pb_grpc.ReactionsServiceServicer):
    """Serves ReactionsService; holds no state but its collaborators."""

    commands: ReactionCommands
    queries: PostQueries

    async def LikePost(self, request: pb.LikePostRequest, context: Context) -> post_pb2.Post:
        """Like a post."""
        post_id = parse_id("pst", request.post_id, field="post_id")
        await self.commands.like(user_id(), post_id)
        return post_message(await self.queries.find(post_id, user_id()))

    async def UnlikePost(self, request: pb.UnlikePostRequest, context: Context) -> post_pb2.Post:
        """Take a like back."""
        post_id = parse_id("pst", request.post_id, field="post_id")
        await self.commands.unlike(user_id(), post_id)
        return post_message(await self.queries.find(post_id, user_id()))

    async def AddComment(self, request: pb.AddCommentRequest, context: Context) -> pb.Comment:
        """Say something about a post."""
        post_id = parse_id("pst", request.post_id, field="post_id")
        text = plain(request.text, "text")
        call = user_call("AddComment", request, pb.Comment)
        return await self.commands.comment(user_id(), post_id, text, call, comment_message)

    async def ListComments(
        self, request: pb.ListCommentsRequest, context: Context
    ) -> pb.ListCommentsResponse:
        """Give one page of a post's comments."""
        post_id = parse_id("pst", request.post_id, field="post_id")
        page = await self.queries.comments(post_id, viewer_id(), asked(request))
        return pb.ListCommentsResponse(
            comments=map(comment_message, page.rows), next_page_token=page.next_page_token
        )

    async def DeleteComment(
        self, request: pb.DeleteCommentRequest, context: Context
    ) -> pb.DeleteCommentResponse:
        """Take a comment away."""
        post_id = parse_id("pst", request.post_id, field="post_id")
        comment_id = parse_id("cmt", request.comment_id, field="comment_id")
        await self.commands.delete_comment(user_id(), post_id, comment_id)
        return pb.DeleteCommentResponse()
