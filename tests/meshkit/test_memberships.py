"""What a server learns of a user's role, and for how long it believes it."""

from __future__ import annotations

import uuid

import grpc
import pytest
from reelmesh.platform.organizations.v1 import members_service_pb2 as pb
from reelmesh.platform.organizations.v1.members_service_pb2_grpc import MembersServiceStub

from meshkit.authorization import Decision
from meshkit.memberships import REMEMBERED_SECONDS, MembershipAuthorizer
from meshkit.testing.fakes import FakeServicer
from meshkit.testing.identity import USER
from meshkit.testing.servers import serve

ORG = uuid.UUID(int=1)
VIEWER = pb.ResolveMembershipResponse(role="viewer", permissions=["runs.read"])


class Seconds:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def members() -> FakeServicer:
    return FakeServicer("reelmesh.platform.organizations.v1.MembersService")


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def authorizer(members, identity, seconds):
    async with (
        serve(members.service(), identity=identity) as mesh,
        mesh.as_service(MembersServiceStub, "business") as stub,
    ):
        yield MembershipAuthorizer(stub, monotonic=seconds)


async def test_the_role_decides(authorizer, members) -> None:
    members.always("ResolveMembership", VIEWER)
    assert await authorizer.decide(USER, "runs.read", ORG) is Decision.ALLOWED
    assert await authorizer.decide(USER, "runs.write", ORG) is Decision.NOT_PERMITTED
    assert await authorizer.decide(USER, "", ORG) is Decision.ALLOWED


async def test_a_role_is_remembered_for_seconds(authorizer, members, seconds) -> None:
    members.answer("ResolveMembership", VIEWER)
    assert await authorizer.decide(USER, "runs.read", ORG) is Decision.ALLOWED
    seconds.now += REMEMBERED_SECONDS - 0.01
    assert await authorizer.decide(USER, "runs.read", ORG) is Decision.ALLOWED
    members.answer("ResolveMembership", pb.ResolveMembershipResponse())
    seconds.now += 0.02
    assert await authorizer.decide(USER, "runs.read", ORG) is Decision.NOT_A_MEMBER
    assert len(members.calls["ResolveMembership"]) == 2


async def test_absence_is_not_remembered(authorizer, members) -> None:
    members.answer("ResolveMembership", pb.ResolveMembershipResponse(), VIEWER)
    assert await authorizer.decide(USER, "runs.read", ORG) is Decision.NOT_A_MEMBER
    assert await authorizer.decide(USER, "runs.read", ORG) is Decision.ALLOWED


async def test_roles_of_different_organizations_are_kept_apart(authorizer, members) -> None:
    members.answer("ResolveMembership", VIEWER, pb.ResolveMembershipResponse())
    assert await authorizer.decide(USER, "runs.read", ORG) is Decision.ALLOWED
    assert await authorizer.decide(USER, "runs.read", uuid.UUID(int=2)) is Decision.NOT_A_MEMBER


async def test_nobody_gets_in_while_organizations_is_away(authorizer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await authorizer.decide(USER, "runs.read", ORG)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
