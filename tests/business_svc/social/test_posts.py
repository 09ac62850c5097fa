"""Posts and their pictures: who may post, change and see what."""

from __future__ import annotations

import asyncio

import grpc
import pytest
import sqlalchemy as sa
from reelmesh.business.social.v1 import posts_service_pb2 as pb
from reelmesh.business.social.v1 import social_events_pb2 as events
from reelmesh.business.social.v1.posts_service_pb2_grpc import PostsServiceStub

from business_svc.social import post_commands
from business_svc.social.announcements import POST_PUBLISHED, POST_REMOVED
from meshkit.clock import uuid7
from meshkit.ids import format_id
from meshkit.outbox import outbox_table
from tests.platform_svc.refusals import refusal_of

from .people import Person, Town, post_request


async def told(town: Town, subject: str) -> list[bytes]:
    outbox = outbox_table("social")
    query = sa.select(outbox.c.payload).where(outbox.c.subject == subject)
    async with town.database.sessions() as session:
        return list(await session.scalars(query.order_by(outbox.c.position)))


async def see(person: Person, post_id: str) -> pb.GetPostRequest:
    return await person.GetPost(pb.GetPostRequest(post_id=post_id))


async def test_a_post_is_seen_by_anybody(town: Town, ada: Person) -> None:
    post = await ada.post(caption="a red circle", alt_text="A red circle on white")
    assert (post.author.handle, post.tool, post.visibility) == ("ada", "text-to-image", "public")
    assert (post.media.width, post.media.content_type) == (64, "image/png")
    assert post.media.url == f"/v1/posts/{post.post_id}/picture"
    async with town.mesh.as_anyone(PostsServiceStub) as anyone:
        assert await anyone.GetPost(pb.GetPostRequest(post_id=post.post_id)) == post
    (payload,) = await told(town, POST_PUBLISHED)
    event = events.PostPublished.FromString(payload)
    assert (event.post_id, event.org_id, list(event.parent_post_ids)) == (post.post_id, ada.org, [])


async def test_the_same_key_posts_once(ada: Person) -> None:
    key = (("idempotency-key", "one"),)
    request = post_request(ada.asset())
    made = await asyncio.gather(*(ada.CreatePost(request, metadata=key) for _ in range(4)))
    assert len({post.post_id for post in made}) == 1
    other = post_request(ada.asset())
    refusal = await refusal_of(ada.CreatePost(other, metadata=key))
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_an_asset_is_posted_once_at_a_time(ada: Person) -> None:
    asset = ada.asset()
    post = await ada.post(asset)
    assert (await refusal_of(ada.post(asset))).reason == "POST_EXISTS"
    await ada.DeletePost(pb.DeletePostRequest(post_id=post.post_id))
    assert (await ada.post(asset)).post_id != post.post_id


async def test_only_ready_assets_of_the_own_organization_are_posted(
    ada: Person, bob: Person
) -> None:
    for asset in (bob.asset(), format_id("ast", uuid7())):
        assert (await refusal_of(ada.post(asset))).reason == "ASSET_NOT_FOUND"


async def test_posting_needs_a_profile(town: Town) -> None:
    eve = await town.person("eve", joined=False)
    assert (await refusal_of(eve.post())).reason == "PROFILE_MISSING"


async def test_nothing_is_posted_while_its_origin_is_unknown(town: Town, ada: Person) -> None:
    asset = ada.asset()
    town.others.origins.answer("GetRunOrigin", RuntimeError("broken"))
    assert (await refusal_of(ada.post(asset))).code is grpc.StatusCode.UNAVAILABLE
    await ada.post(asset)


async def test_an_hour_has_room_for_so_many_posts(
    town: Town, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_commands, "POSTS_PER_HOUR_MAX", 3)
    for _ in range(3):
        await ada.post()
    assert (await refusal_of(ada.post())).reason == "TOO_MANY_POSTS"
    town.clock.advance(seconds=3601)
    await ada.post()


async def test_followers_only_posts_are_for_followers(town: Town, ada: Person, bob: Person) -> None:
    post = await ada.post(visibility="followers")
    await see(ada, post.post_id)
    assert (await refusal_of(see(bob, post.post_id))).reason == "POST_NOT_FOUND"
    async with town.mesh.as_anyone(PostsServiceStub) as anyone:
        for call in (
            anyone.GetPost(pb.GetPostRequest(post_id=post.post_id)),
            anyone.ShowPicture(pb.ShowPictureRequest(post_id=post.post_id)),
        ):
            assert (await refusal_of(call)).reason == "POST_NOT_FOUND"
    await bob.follow(ada)
    await see(bob, post.post_id)
    await ada.UpdatePost(pb.UpdatePostRequest(post_id=post.post_id, visibility="public"))
    async with town.mesh.as_anyone(PostsServiceStub) as anyone:
        await anyone.GetPost(pb.GetPostRequest(post_id=post.post_id))


async def test_a_picture_is_a_redirect_for_anybody(town: Town, ada: Person) -> None:
    asset = ada.asset()
    post = await ada.post(asset)
    async with town.mesh.as_anyone(PostsServiceStub) as anyone:
        call = anyone.ShowPicture(pb.ShowPictureRequest(post_id=post.post_id))
        headers = dict(await call.initial_metadata())
        assert (headers["x-http-code"], headers["location"]) == ("302", f"http://store/{asset}")
        del town.others.assets[ada.org, asset]
        again = anyone.ShowPicture(pb.ShowPictureRequest(post_id=post.post_id))
        assert (await refusal_of(again)).reason == "PICTURE_GONE"


async def test_only_the_author_changes_and_deletes(town: Town, ada: Person, bob: Person) -> None:
    post = await ada.post(caption="before")
    change = pb.UpdatePostRequest(post_id=post.post_id, caption="after")
    delete = pb.DeletePostRequest(post_id=post.post_id)
    for call in (bob.UpdatePost(change), bob.DeletePost(delete)):
        assert (await refusal_of(call)).reason == "POST_NOT_FOUND"
    changed = await ada.UpdatePost(change)
    assert (changed.caption, changed.HasField("edited_at")) == ("after", True)
    await ada.DeletePost(delete)
    await ada.DeletePost(delete)
    assert (await refusal_of(see(ada, post.post_id))).reason == "POST_NOT_FOUND"
    (payload,) = await told(town, POST_REMOVED)
    assert events.PostRemoved.FromString(payload).why == "deleted"


async def test_posts_of_a_profile_come_in_pages(town: Town, ada: Person, bob: Person) -> None:
    made = [(await ada.post()).post_id for _ in range(5)]
    await bob.post()
    request = pb.ListProfilePostsRequest(handle="ada", page_size=2)
    listed = await bob.all_of("ListProfilePosts", request)
    assert [post.post_id for post in listed] == made[::-1]
    await town.settle()
    bad = pb.ListProfilePostsRequest(handle="ada", page_token="made up")
    assert (await refusal_of(bob.ListProfilePosts(bad))).reason == "INVALID_PAGE_TOKEN"


async def test_a_block_hides_posts_from_both(ada: Person, bob: Person) -> None:
    hers, his = await ada.post(), await bob.post()
    await ada.block(bob)
    for person, post in ((ada, his), (bob, hers)):
        assert (await refusal_of(see(person, post.post_id))).reason == "POST_NOT_FOUND"


async def test_bad_fields_are_refused(ada: Person) -> None:
    bad = [
        post_request(ada.asset(), caption="x" * 1001),
        post_request(ada.asset(), visibility="secret"),
        post_request(ada.asset(), caption="a\0b"),
        post_request("ast_1"),
        pb.CreatePostRequest(caption="nothing to see"),
    ]
    for request in bad:
        refusal = await refusal_of(ada.CreatePost(request))
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
