"""gRPC surface of feeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from reelmesh.business.social.v1 import feeds_service_pb2 as pb
from reelmesh.business.social.v1 import feeds_service_pb2_grpc as pb_grpc

from business_svc.social.callers import asked, user_id, viewer_id
from business_svc.social.feed_queries import FeedQueries
from business_svc.social.messages import post_message

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class FeedsServicer(pb_grpc.FeedsServiceServicer):
    """Serves FeedsService; holds no state but its collaborator."""

    queries: FeedQueries

    async def GetHomeFeed(
        self, request: pb.GetHomeFeedRequest, context: Context
    ) -> pb.GetHomeFeedResponse:
        """Give one page of the caller's home feed."""
        page = await self.queries.home(user_id(), asked(request))
        return pb.GetHomeFeedResponse(
            posts=map(post_message, page.rows), next_page_token=page.next_page_token
        )

    async def Explore(self, request: pb.ExploreRequest, context: Context) -> pb.ExploreResponse:
        """Give one page of a ranking."""
        explored = await self.queries.explore(viewer_id(), asked(request))
        return pb.ExploreResponse(
            posts=map(post_message, explored.page.rows),
            next_page_token=explored.page.next_page_token,
            ranking=explored.ranking,
        )
