"""Profiles, handles, following and blocking through a real server."""

from __future__ import annotations

import asyncio

import grpc
from reelmesh.business.social.v1 import profiles_service_pb2 as pb
from reelmesh.business.social.v1 import relations_service_pb2 as relations_pb
from reelmesh.business.social.v1.profiles_service_pb2_grpc import ProfilesServiceStub

from business_svc.social.tables import Base
from business_svc.social.wiring import MIGRATIONS
from meshkit.ids import format_id
from meshkit.migrations import downgrade, drift, upgrade
from meshkit.testing.databases import Databases
from tests.platform_svc.refusals import refusal_of

from .people import Block, Follow, Person, Town


def create(handle: str) -> pb.CreateProfileRequest:
    return pb.CreateProfileRequest(handle=handle, display_name="Somebody")


async def test_migrations_agree_with_the_tables_and_leave_nothing(
    databases: Databases, social_template: str
) -> None:
    async with databases.clone(social_template) as url:
        assert await drift(url, Base.metadata) == []
        await downgrade(url, "social", MIGRATIONS, "base")
        await upgrade(url, "social", MIGRATIONS)
        assert await drift(url, Base.metadata) == []


async def test_a_profile_is_seen_by_anybody(town: Town, ada: Person) -> None:
    async with town.mesh.as_anyone(ProfilesServiceStub) as anyone:
        seen = await anyone.GetProfile(pb.GetProfileRequest(handle="ada"))
    assert (seen.handle, seen.user_id, seen.followed) == ("ada", format_id("usr", ada.id), False)
    assert await ada.GetMyProfile(pb.GetMyProfileRequest()) == seen


async def test_a_user_has_one_profile(ada: Person) -> None:
    assert (await refusal_of(ada.CreateProfile(create("eve")))).reason == "PROFILE_EXISTS"


async def test_one_of_many_who_want_a_handle_gets_it(town: Town) -> None:
    many = [await town.person(f"p{number}", joined=False) for number in range(4)]
    made = await asyncio.gather(
        *(one.CreateProfile(create("wanted")) for one in many), return_exceptions=True
    )
    taken = [one for one in made if isinstance(one, Exception)]
    assert len(taken) == 3
    for one in taken:
        assert isinstance(one, grpc.aio.AioRpcError)
        assert one.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_bad_handles_are_refused(town: Town) -> None:
    eve = await town.person("eve", joined=False)
    for handle, reason in (
        ("admin", "HANDLE_RESERVED"),
        ("Ada", "INVALID_REQUEST"),
        ("a", "INVALID_REQUEST"),
    ):
        assert (await refusal_of(eve.CreateProfile(create(handle)))).reason == reason


async def test_an_old_handle_leads_to_its_user_and_to_nobody_else(ada: Person, bob: Person) -> None:
    changed = await ada.UpdateMyProfile(pb.UpdateMyProfileRequest(handle="ada_l"))
    assert changed.handle == "ada_l"
    assert (await bob.GetProfile(pb.GetProfileRequest(handle="ada"))).handle == "ada_l"
    steal = pb.UpdateMyProfileRequest(handle="ada")
    assert (await refusal_of(bob.UpdateMyProfile(steal))).reason == "HANDLE_TAKEN"
    for number in range(3):
        await ada.UpdateMyProfile(pb.UpdateMyProfileRequest(handle=f"ada_{number}"))
    more = pb.UpdateMyProfileRequest(handle="ada_more")
    assert (await refusal_of(ada.UpdateMyProfile(more))).reason == "TOO_MANY_HANDLES"
    assert (await ada.UpdateMyProfile(pb.UpdateMyProfileRequest(handle="ada"))).handle == "ada"


async def test_following_is_counted_and_listed(
    town: Town, ada: Person, bob: Person, cyd: Person
) -> None:
    for one in (bob, cyd):
        await one.follow(ada)
        await one.follow(ada)
        town.clock.advance(seconds=1)
    await town.settle()
    seen = await bob.GetProfile(pb.GetProfileRequest(handle="ada"))
    assert (seen.follower_count, seen.followed) == (2, True)
    request = relations_pb.ListFollowersRequest(handle="ada", page_size=1)
    followers = await ada.all_of("ListFollowers", request, "profiles")
    assert [one.handle for one in followers] == ["cyd", "bob"]
    await bob.UnfollowProfile(relations_pb.UnfollowProfileRequest(handle="ada"))
    await town.settle()
    assert (await ada.GetMyProfile(pb.GetMyProfileRequest())).follower_count == 1


async def test_nobody_follows_themselves_or_without_a_profile(town: Town, ada: Person) -> None:
    assert (await refusal_of(ada.follow(ada))).reason == "OWN_PROFILE"
    eve = await town.person("eve", joined=False)
    assert (await refusal_of(eve.follow(ada))).reason == "PROFILE_MISSING"
    gone = Follow(handle="nobody")
    assert (await refusal_of(ada.FollowProfile(gone))).reason == "PROFILE_NOT_FOUND"


async def test_a_block_ends_following_and_hides_the_blocker(
    town: Town, ada: Person, bob: Person
) -> None:
    await ada.follow(bob)
    await bob.follow(ada)
    await ada.block(bob)
    await town.settle()
    assert (await ada.GetMyProfile(pb.GetMyProfileRequest())).follower_count == 0
    for call in (
        bob.GetProfile(pb.GetProfileRequest(handle="ada")),
        bob.FollowProfile(Follow(handle="ada")),
        bob.BlockProfile(Block(handle="ada")),
    ):
        assert (await refusal_of(call)).reason == "PROFILE_NOT_FOUND"
    assert (await ada.GetProfile(pb.GetProfileRequest(handle="bob"))).blocked
    assert (await refusal_of(ada.follow(bob))).reason == "BLOCKED_BY_YOU"
    blocks = await ada.ListBlocks(relations_pb.ListBlocksRequest())
    assert [one.handle for one in blocks.profiles] == ["bob"]
    await ada.UnblockProfile(relations_pb.UnblockProfileRequest(handle="bob"))
    await bob.follow(ada)
    await town.settle()


async def test_a_block_and_a_follow_at_once_leave_no_follower(
    town: Town, ada: Person, bob: Person
) -> None:
    for _ in range(5):
        await asyncio.gather(ada.block(bob), bob.follow(ada), return_exceptions=True)
        await town.settle()
        await ada.UnblockProfile(relations_pb.UnblockProfileRequest(handle="bob"))
