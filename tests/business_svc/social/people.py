"""Users by short names with stubs of the social services, and the services around them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from reelmesh.business.social.v1 import (
    feeds_service_pb2,
    feeds_service_pb2_grpc,
    moderation_service_pb2_grpc,
    post_pb2,
    posts_service_pb2,
    posts_service_pb2_grpc,
    profiles_service_pb2,
    profiles_service_pb2_grpc,
    reactions_service_pb2_grpc,
    relations_service_pb2,
    relations_service_pb2_grpc,
)
from reelmesh.business.tools.v1 import origins_service_pb2 as origins_pb
from reelmesh.platform.assets.v1 import publications_service_pb2 as assets_pb

from business_svc.social.config import SocialSettings
from business_svc.social.invariants import offenders
from business_svc.social.wiring import Social, assemble
from meshkit.clock import uuid7
from meshkit.context import UserPrincipal
from meshkit.ids import format_id
from meshkit.postgres import Database
from meshkit.stubs import RemoteError
from meshkit.testing.clock import ManualClock
from meshkit.testing.fakes import FakeServicer
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import ServedMesh, UserChannel, serve

STUBS = (
    profiles_service_pb2_grpc.ProfilesServiceStub,
    relations_service_pb2_grpc.RelationsServiceStub,
    posts_service_pb2_grpc.PostsServiceStub,
    reactions_service_pb2_grpc.ReactionsServiceStub,
    feeds_service_pb2_grpc.FeedsServiceStub,
    moderation_service_pb2_grpc.ModerationServiceStub,
)
Follow = relations_service_pb2.FollowProfileRequest
Block = relations_service_pb2.BlockProfileRequest


class Others:
    """Assets and runs of any number of organizations, as platform and tools keep them."""

    def __init__(self) -> None:
        self.publications = FakeServicer("reelmesh.platform.assets.v1.PublicationsService")
        self.origins = FakeServicer("reelmesh.business.tools.v1.OriginsService")
        self.assets: dict[tuple[str, str], str] = {}  # (organization, asset) to run.
        self.runs: dict[tuple[str, str], list[str]] = {}  # (organization, run) to inputs.
        self.publications.always("DescribeAsset", self.describe)
        self.publications.always("PresignPicture", self.presign)
        self.publications.always("CopyAsset", self.copy)
        self.origins.always("GetRunOrigin", self.origin)

    def describe(self, request: assets_pb.DescribeAssetRequest) -> Any:
        run = self.assets.get((request.org_id, request.asset_id))
        if run is None:
            return missing("ASSET_NOT_FOUND")
        return assets_pb.DescribeAssetResponse(
            content_type="image/png", width=64, height=64, run_id=run
        )

    def presign(self, request: assets_pb.PresignPictureRequest) -> Any:
        if (request.org_id, request.asset_id) not in self.assets:
            return missing("ASSET_NOT_FOUND")
        expires_at = Timestamp()
        expires_at.FromDatetime(datetime(2030, 1, 1, tzinfo=UTC))
        return assets_pb.PresignPictureResponse(
            url=f"http://store/{request.asset_id}", expires_at=expires_at
        )

    def copy(self, request: assets_pb.CopyAssetRequest) -> Any:
        if (request.source_org_id, request.source_asset_id) not in self.assets:
            return missing("ASSET_NOT_FOUND")
        self.assets[request.org_id, request.asset_id] = ""
        return assets_pb.CopyAssetResponse(asset_id=request.asset_id)

    def origin(self, request: origins_pb.GetRunOriginRequest) -> Any:
        inputs = self.runs.get((request.org_id, request.run_id))
        if inputs is None:
            return missing("RUN_NOT_FOUND")
        return origins_pb.GetRunOriginResponse(
            tool="image-to-image" if inputs else "text-to-image", input_asset_ids=inputs
        )


def missing(reason: str) -> RemoteError:
    return RemoteError(grpc.StatusCode.NOT_FOUND, reason, reason.lower(), {})


class Person:
    """A user and all that they can call."""

    def __init__(self, user: UserPrincipal, channel: UserChannel, others: Others) -> None:
        self.user = user
        self.handle = ""
        self._others = others
        self._stubs = [channel.stub(kind) for kind in STUBS]

    def __getattr__(self, method: str) -> Any:
        return next(getattr(stub, method) for stub in self._stubs if hasattr(stub, method))

    @property
    def id(self) -> uuid.UUID:
        return self.user.user_id

    @property
    def org(self) -> str:
        return format_id("org", self.user.organization_id)

    def asset(self, *, inputs: list[str] | None = None, uploaded: bool = False) -> str:
        """Give a new ready asset: uploaded, or made by a run of these inputs."""
        asset, run = format_id("ast", uuid7()), "" if uploaded else format_id("run", uuid7())
        self._others.assets[self.org, asset] = run
        if run:
            self._others.runs[self.org, run] = inputs or []
        return asset

    async def join(self, handle: str) -> None:
        """Make a profile."""
        request = profiles_service_pb2.CreateProfileRequest(handle=handle, display_name=handle)
        await self.CreateProfile(request)
        self.handle = handle

    async def post(self, asset: str | None = None, **fields: Any) -> post_pb2.Post:
        """Publish an asset."""
        return await self.CreatePost(post_request(asset or self.asset(), **fields))

    async def follow(self, other: Person) -> None:
        await self.FollowProfile(Follow(handle=other.handle))

    async def block(self, other: Person) -> None:
        await self.BlockProfile(Block(handle=other.handle))

    async def home(self, *, page_size: int = 20) -> list[str]:
        """Give the captions of the whole home feed, page by page."""
        request = feeds_service_pb2.GetHomeFeedRequest(page_size=page_size)
        return [post.caption for post in await self.all_of("GetHomeFeed", request)]

    async def all_of(self, method: str, request: Any, rows: str = "posts") -> list[Any]:
        """Give the rows of every page of a listing."""
        found: list[Any] = []
        while True:
            page = await getattr(self, method)(request)
            assert len(getattr(page, rows)) <= (request.page_size or 20)
            found += getattr(page, rows)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token


def post_request(asset: str, **fields: Any) -> posts_service_pb2.CreatePostRequest:
    media = post_pb2.MediaReference(kind="asset", id=asset)
    return posts_service_pb2.CreatePostRequest(media=media, **fields)


@dataclass
class Town:
    """The social service with a database of its own, and everybody in it."""

    database: Database
    clock: ManualClock
    others: Others
    social: Social
    mesh: ServedMesh
    stack: AsyncExitStack
    people: dict[str, Person] = field(default_factory=dict)

    async def person(self, name: str, *, joined: bool = True, **changes: Any) -> Person:
        """Give a new user, with a profile unless said otherwise."""
        number = 1000 + len(self.people)
        user = replace(
            USER, user_id=uuid.UUID(int=number), organization_id=uuid.UUID(int=number + 1000)
        )
        user = replace(user, **changes)
        channel = UserChannel(self.mesh.address, self.mesh.identity, user)
        person = Person(user, await self.stack.enter_async_context(channel), self.others)
        self.people[name] = person
        if joined:
            await person.join(name)
        return person

    async def settle(self) -> None:
        """Do all the background work that waits, and let nobody break an invariant."""
        await self.social.deliverer.deliver_all()
        await self.social.counter.count_all()
        await self.social.ranker.rank()
        async with self.database.sessions() as session:
            assert await offenders(session, now=self.clock.now()) == {}


SETTINGS = SocialSettings(pulled_followers=3, ranking_interval=timedelta(seconds=1))


@asynccontextmanager
async def town_on(
    database: Database, clock: ManualClock, identity: TestIdentity
) -> AsyncIterator[Town]:
    others = Others()
    fakes = (others.publications.service(), others.origins.service())
    async with AsyncExitStack() as stack:
        around = await stack.enter_async_context(serve(*fakes, identity=identity))
        channel = await stack.enter_async_context(around.channel("business"))
        social = assemble(database, clock.ambient, SETTINGS, platform=channel, business=channel)
        served = social.servicers.services()
        mesh = await stack.enter_async_context(serve(*served, identity=identity))
        yield Town(database, clock, others, social, mesh, stack)
