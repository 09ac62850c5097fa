"""Likes, comments and the counts of them."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from reelmesh.business.social.v1 import posts_service_pb2 as posts_pb
from reelmesh.business.social.v1 import reactions_service_pb2 as pb
from reelmesh.business.social.v1 import social_events_pb2 as events

from business_svc.social.announcements import POST_LIKED
from business_svc.social.counting_store import CountingStore
from business_svc.social.tables import PostRow
from meshkit.testing.signals import eventually
from tests.platform_svc.refusals import refusal_of

from .people import Person, Town
from .test_posts import told


async def counts(person: Person, post_id: str) -> tuple[int, int, bool]:
    post = await person.GetPost(posts_pb.GetPostRequest(post_id=post_id))
    return post.like_count, post.comment_count, post.liked


async def test_a_like_counts_once(town: Town, ada: Person, bob: Person, cyd: Person) -> None:
    post_id = (await ada.post()).post_id
    like = pb.LikePostRequest(post_id=post_id)
    await asyncio.gather(*(one.LikePost(like) for one in (bob, bob, bob, cyd)))
    await town.settle()
    assert await counts(bob, post_id) == (2, 0, True)
    assert await counts(ada, post_id) == (2, 0, False)
    heard = [events.PostLiked.FromString(one) for one in await told(town, POST_LIKED)]
    assert len(heard) == 2
    await bob.UnlikePost(pb.UnlikePostRequest(post_id=post_id))
    await bob.UnlikePost(pb.UnlikePostRequest(post_id=post_id))
    await town.settle()
    assert await counts(bob, post_id) == (1, 0, False)


async def test_counting_at_once_ends_with_the_facts(town: Town, ada: Person, bob: Person) -> None:
    post_id = (await ada.post()).post_id
    like, unlike = pb.LikePostRequest(post_id=post_id), pb.UnlikePostRequest(post_id=post_id)
    for _ in range(4):
        await asyncio.gather(
            ada.LikePost(like),
            bob.LikePost(like),
            *(town.social.counter.count_all() for _ in range(3)),
            bob.UnlikePost(unlike),
        )
    await town.settle()  # Which demands that the counts are those of the facts.


async def test_a_count_that_had_to_wait_counts_what_came_meanwhile(
    town: Town, ada: Person, bob: Person
) -> None:
    post_id = (await ada.post()).post_id
    like = pb.LikePostRequest(post_id=post_id)
    await ada.LikePost(like)
    async with town.database.sessions.begin() as session, asyncio.TaskGroup() as group:
        await session.execute(sa.select(PostRow.id).with_for_update(key_share=True))
        async with town.database.sessions.begin() as counting:
            recount = group.create_task(CountingStore(counting).recount())
            await eventually(lambda: waits(town))
            await bob.LikePost(like)
            await session.rollback()
            await recount
    assert (await counts(ada, post_id))[0] == 2


async def waits(town: Town) -> bool:
    """Tell whether a statement of this test's database waits for another one."""
    query = """SELECT count(*) > 0 FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    async with town.database.sessions() as session:
        return bool(await session.scalar(sa.text(query)))


async def test_comments_are_read_oldest_first(town: Town, ada: Person, bob: Person) -> None:
    post_id = (await ada.post()).post_id
    for number in range(5):
        writer = (ada, bob)[number % 2]
        await writer.AddComment(pb.AddCommentRequest(post_id=post_id, text=f"{number}"))
    request = pb.ListCommentsRequest(post_id=post_id, page_size=2)
    listed = await bob.all_of("ListComments", request, "comments")
    assert [(one.text, one.author.handle) for one in listed[:2]] == [("0", "ada"), ("1", "bob")]
    assert [one.text for one in listed] == list("01234")
    await town.settle()
    assert (await counts(ada, post_id))[1] == 5


async def test_the_same_key_comments_once(ada: Person) -> None:
    request = pb.AddCommentRequest(post_id=(await ada.post()).post_id, text="hello")
    key = (("idempotency-key", "one"),)
    first = await ada.AddComment(request, metadata=key)
    assert await ada.AddComment(request, metadata=key) == first


async def test_a_comment_is_deleted_by_its_author_or_the_posts(
    town: Town, ada: Person, bob: Person, cyd: Person
) -> None:
    post_id = (await ada.post()).post_id
    for deleter in (ada, bob):
        comment = await bob.AddComment(pb.AddCommentRequest(post_id=post_id, text="hello"))
        request = pb.DeleteCommentRequest(post_id=post_id, comment_id=comment.comment_id)
        assert (await refusal_of(cyd.DeleteComment(request))).reason == "COMMENT_NOT_FOUND"
        await deleter.DeleteComment(request)
        await deleter.DeleteComment(request)
    await town.settle()
    assert (await counts(ada, post_id))[1] == 0
    assert not (await ada.ListComments(pb.ListCommentsRequest(post_id=post_id))).comments


async def test_a_block_hides_comments_of_both(ada: Person, bob: Person, cyd: Person) -> None:
    post_id = (await ada.post()).post_id
    for person in (bob, cyd):
        await person.AddComment(pb.AddCommentRequest(post_id=post_id, text=person.handle))
    await bob.block(cyd)
    for person, seen in ((ada, ["bob", "cyd"]), (bob, ["bob"]), (cyd, ["cyd"])):
        listed = await person.ListComments(pb.ListCommentsRequest(post_id=post_id))
        assert [one.text for one in listed.comments] == seen


async def test_who_does_not_see_a_post_does_not_react_to_it(ada: Person, bob: Person) -> None:
    post_id = (await ada.post()).post_id
    await ada.block(bob)
    for call in (
        bob.LikePost(pb.LikePostRequest(post_id=post_id)),
        bob.AddComment(pb.AddCommentRequest(post_id=post_id, text="hello")),
        bob.ListComments(pb.ListCommentsRequest(post_id=post_id)),
    ):
        assert (await refusal_of(call)).reason == "POST_NOT_FOUND"
