"""The services that the social folder serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reelmesh.business.social.v1.feeds_service_pb2_grpc import add_FeedsServiceServicer_to_server
from reelmesh.business.social.v1.moderation_service_pb2_grpc import (
    add_ModerationServiceServicer_to_server,
)
from reelmesh.business.social.v1.posts_service_pb2_grpc import add_PostsServiceServicer_to_server
from reelmesh.business.social.v1.profiles_service_pb2_grpc import (
    add_ProfilesServiceServicer_to_server,
)
from reelmesh.business.social.v1.reactions_service_pb2_grpc import (
    add_ReactionsServiceServicer_to_server,
)
from reelmesh.business.social.v1.relations_service_pb2_grpc import (
    add_RelationsServiceServicer_to_server,
)

from business_svc.social.feeds_servicer import FeedsServicer
from business_svc.social.moderation_servicer import ModerationServicer
from business_svc.social.posts_servicer import PostsServicer
from business_svc.social.profiles_servicer import ProfilesServicer
from business_svc.social.reactions_servicer import ReactionsServicer
from business_svc.social.relations_servicer import RelationsServicer
from meshkit.server import Service

PACKAGE: Final = "reelmesh.business.social.v1"


@dataclass(frozen=True, slots=True)
class Servicers:
    """One servicer for each service."""

    profiles: ProfilesServicer
    relations: RelationsServicer
    posts: PostsServicer
    reactions: ReactionsServicer
    feeds: FeedsServicer
    moderation: ModerationServicer

    def services(self) -> list[Service]:
        """Return the services to be served."""
        return [
            Service(
                f"{PACKAGE}.ProfilesService",
                lambda server: add_ProfilesServiceServicer_to_server(self.profiles, server),
            ),
            Service(
                f"{PACKAGE}.RelationsService",
                lambda server: add_RelationsServiceServicer_to_server(self.relations, server),
            ),
            Service(
                f"{PACKAGE}.PostsService",
                lambda server: add_PostsServiceServicer_to_server(self.posts, server),
            ),
            Service(
                f"{PACKAGE}.ReactionsService",
                lambda server: add_ReactionsServiceServicer_to_server(self.reactions, server),
            ),
            Service(
                f"{PACKAGE}.FeedsService",
                lambda server: add_FeedsServiceServicer_to_server(self.feeds, server),
            ),
            Service(
                f"{PACKAGE}.ModerationService",
                lambda server: add_ModerationServiceServicer_to_server(self.moderation, server),
            ),
        ]
