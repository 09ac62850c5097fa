"""What a picture was made of follows from runs, whatever a client says."""

from __future__ import annotations

import grpc
import pytest
from reelmesh.business.social.v1 import posts_service_pb2 as pb
from reelmesh.business.social.v1 import social_events_pb2 as events

from business_svc.social.announcements import POST_PUBLISHED
from meshkit.clock import uuid7
from meshkit.ids import format_id
from meshkit.stubs import RemoteError
from tests.platform_svc.refusals import refusal_of

from .people import Person, Town
from .test_posts import told


async def remix(person: Person, post_id: str) -> str:
    """Give the copy of a post's picture."""
    return (await person.RemixPost(pb.RemixPostRequest(post_id=post_id))).asset_id


async def lineage(person: Person, post_id: str) -> list[tuple[str, int]]:
    answer = await person.GetLineage(pb.GetLineageRequest(post_id=post_id))
    return [(one.post_id, one.distance) for one in answer.ancestors]


async def test_what_a_run_makes_of_a_copy_is_a_remix(town: Town, ada: Person, bob: Person) -> None:
    original = await ada.post()
    copy = await remix(bob, original.post_id)
    assert (bob.org, copy) in town.others.assets
    made = await bob.post(bob.asset(inputs=[copy]))
    assert (made.remix_depth, made.tool) == (1, "image-to-image")
    assert await lineage(ada, made.post_id) == [(original.post_id, 1)]
    await town.settle()
    remixes = await ada.ListRemixes(pb.ListRemixesRequest(post_id=original.post_id))
    assert [post.post_id for post in remixes.posts] == [made.post_id]
    assert (await ada.GetPost(pb.GetPostRequest(post_id=original.post_id))).remix_count == 1
    event = events.PostPublished.FromString((await told(town, POST_PUBLISHED))[-1])
    assert list(event.parent_post_ids) == [original.post_id]


async def test_lineage_passes_through_runs_that_nobody_posted(
    town: Town, ada: Person, bob: Person
) -> None:
    original = await ada.post()
    sketch = bob.asset(inputs=[await remix(bob, original.post_id)])
    for _ in range(3):
        sketch = bob.asset(inputs=[sketch])
    made = await bob.post(sketch)
    assert await lineage(bob, made.post_id) == [(original.post_id, 1)]
    further = await bob.post(bob.asset(inputs=[sketch]))
    assert await lineage(bob, further.post_id) == [(made.post_id, 1), (original.post_id, 2)]
    assert further.remix_depth == 2
    await town.settle()


async def test_a_picture_of_two_posts_has_two_parents(town: Town, ada: Person, bob: Person) -> None:
    first, second = await ada.post(), await ada.post()
    inputs = [await remix(bob, one.post_id) for one in (first, second)]
    made = await bob.post(bob.asset(inputs=inputs))
    assert await lineage(bob, made.post_id) == [(first.post_id, 1), (second.post_id, 1)]
    await town.settle()


async def test_a_copy_of_others_says_nothing_about_ones_own_run(
    ada: Person, bob: Person, cyd: Person
) -> None:
    # The id of a copy that was handed out to another organization is no claim to anything.
    copy = await remix(bob, (await ada.post()).post_id)
    made = await cyd.post(cyd.asset(inputs=[copy]))
    assert await lineage(cyd, made.post_id) == []


async def test_uploads_and_first_pictures_have_no_lineage(ada: Person) -> None:
    for asset in (ada.asset(uploaded=True), ada.asset(), ada.asset(inputs=[ada.asset()])):
        post = await ada.post(asset)
        assert (post.remix_depth, await lineage(ada, post.post_id)) == (0, [])


async def test_a_bare_copy_is_not_posted_as_ones_own(ada: Person, bob: Person) -> None:
    copy = await remix(bob, (await ada.post()).post_id)
    assert (await refusal_of(bob.post(copy))).reason == "POST_EXISTS"


async def test_runs_in_a_circle_end(town: Town, ada: Person) -> None:
    first, second = ada.asset(), ada.asset()
    for asset, other in ((first, second), (second, first)):
        run = town.others.assets[ada.org, asset]
        town.others.runs[ada.org, run] = [other]
    assert (await ada.post(first)).remix_depth == 0


async def test_an_author_may_refuse_remixes(ada: Person, bob: Person) -> None:
    post = await ada.post(allows_remix=False)
    request = pb.RemixPostRequest(post_id=post.post_id)
    assert (await refusal_of(bob.RemixPost(request))).reason == "REMIX_NOT_ALLOWED"
    await ada.RemixPost(request)


async def test_a_full_organization_gets_no_copy(town: Town, ada: Person, bob: Person) -> None:
    post = await ada.post()
    full = RemoteError(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_QUOTA_EXCEEDED", "full", {})
    town.others.publications.answer("CopyAsset", full)
    request = pb.RemixPostRequest(post_id=post.post_id)
    refusal = await refusal_of(bob.RemixPost(request))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "NO_ROOM_FOR_COPY",
    )


async def test_a_remix_needs_a_post_that_one_sees(ada: Person, bob: Person) -> None:
    post = await ada.post(visibility="followers")
    for post_id in (post.post_id, format_id("pst", uuid7())):
        request = pb.RemixPostRequest(post_id=post_id)
        assert (await refusal_of(bob.RemixPost(request))).reason == "POST_NOT_FOUND"


async def test_the_same_key_gives_the_same_copy_also_after_a_failure(
    town: Town, ada: Person, bob: Person
) -> None:
    request = pb.RemixPostRequest(post_id=(await ada.post()).post_id)
    key = (("idempotency-key", "one"),)
    town.others.publications.answer("CopyAsset", RuntimeError("broken on the way"))
    await refusal_of(bob.RemixPost(request, metadata=key))
    copy = (await bob.RemixPost(request, metadata=key)).asset_id
    assert (await bob.RemixPost(request, metadata=key)).asset_id == copy
    asked = {one.asset_id for one in town.others.publications.calls["CopyAsset"]}
    assert asked == {copy}


@pytest.mark.parametrize("how", ["deleted", "blocked"])
async def test_ancestors_that_are_hidden_have_no_contents(
    town: Town, ada: Person, bob: Person, how: str
) -> None:
    original = await ada.post(caption="secret")
    made = await bob.post(bob.asset(inputs=[await remix(bob, original.post_id)]))
    if how == "deleted":
        await ada.DeletePost(pb.DeletePostRequest(post_id=original.post_id))
    else:
        await ada.block(bob)
    answer = await bob.GetLineage(pb.GetLineageRequest(post_id=made.post_id))
    assert [(one.post_id, one.HasField("post")) for one in answer.ancestors] == [
        (original.post_id, False)
    ]
    await town.settle()
