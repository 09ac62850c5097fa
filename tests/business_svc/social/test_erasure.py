"""What is left of a user who is gone."""

from __future__ import annotations

from reelmesh.business.social.v1 import posts_service_pb2 as posts_pb
from reelmesh.business.social.v1 import profiles_service_pb2 as profiles_pb
from reelmesh.business.social.v1 import reactions_service_pb2 as reactions_pb
from reelmesh.platform.identity.v1 import identity_events_pb2 as identity_events

from business_svc.social.erasure import USER_DELETED
from business_svc.social.invariants import facts, offenders
from business_svc.social.profile import ProfileState
from business_svc.social.profile_store import ProfileStore
from meshkit.clock import uuid7
from meshkit.ids import format_id
from meshkit.inbox import Event
from tests.platform_svc.refusals import refusal_of

from .people import Person, Town
from .test_lineage import lineage, remix
from .test_posts import see


def gone(person: Person) -> Event:
    message = identity_events.UserDeleted(user_id=format_id("usr", person.id))
    return Event(uuid7(), USER_DELETED, message.SerializeToString(), delivery=1)


async def test_a_user_is_erased_and_tombstones_stay(town: Town, ada: Person, bob: Person) -> None:
    await ada.follow(bob)
    await bob.follow(ada)
    hers, his = await ada.post(caption="hers"), await bob.post(caption="his")
    await ada.LikePost(reactions_pb.LikePostRequest(post_id=his.post_id))
    await ada.AddComment(reactions_pb.AddCommentRequest(post_id=his.post_id, text="hello"))
    made = await bob.post(bob.asset(inputs=[await remix(bob, hers.post_id)]), caption="remix")
    await town.settle()
    for _ in range(2):
        await town.social.erasure.handle(gone(ada))
    await town.settle()
    assert (await refusal_of(see(bob, hers.post_id))).reason == "POST_NOT_FOUND"
    profile = profiles_pb.GetProfileRequest(handle="ada")
    assert (await refusal_of(bob.GetProfile(profile))).reason == "PROFILE_NOT_FOUND"
    post = await bob.GetPost(posts_pb.GetPostRequest(post_id=his.post_id))
    assert (post.like_count, post.comment_count) == (0, 0)
    assert (await bob.GetMyProfile(profiles_pb.GetMyProfileRequest())).follower_count == 0
    assert await bob.home() == []
    assert await lineage(bob, made.post_id) == [(hers.post_id, 1)]
    # Nobody takes the handle over.
    eve = await town.person("eve", joined=False)
    take = profiles_pb.CreateProfileRequest(handle="ada", display_name="Eve")
    assert (await refusal_of(eve.CreateProfile(take))).reason == "HANDLE_TAKEN"


async def test_somebody_without_a_profile_is_erased(town: Town) -> None:
    eve = await town.person("eve", joined=False)
    await town.social.erasure.handle(gone(eve))


async def test_what_is_left_of_a_deleted_profile_is_an_offender(town: Town, ada: Person) -> None:
    await ada.post()
    await town.settle()
    async with town.database.sessions.begin() as session:
        await ProfileStore(session).set_state(ada.id, ProfileState.DELETED)
    async with town.database.sessions() as session:
        found = await offenders(session, now=town.clock.now())
    assert list(found.values()) == [[str(ada.id)]]
    assert set(found) <= set(facts(town.clock.now()))
    assert await town.social.check.check() == found
