"""The home feed: delivered or pulled, in full pages, and by the rules of the moment."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from reelmesh.business.social.v1 import feeds_service_pb2 as pb
from reelmesh.business.social.v1 import posts_service_pb2 as posts_pb
from reelmesh.business.social.v1 import relations_service_pb2 as relations_pb

from business_svc.social import delivery_store, home_store
from business_svc.social.home_store import HomeStore
from business_svc.social.reaction_tables import DeliveryRow, HomeRow
from tests.platform_svc.refusals import refusal_of

from .people import Person, Town

DAYS = 24 * 3600


async def test_posts_come_to_followers_newest_first_and_to_nobody_else(
    town: Town, ada: Person, bob: Person, cyd: Person
) -> None:
    await bob.follow(ada)
    for number in range(5):
        await ada.post(caption=f"{number}")
    await town.settle()
    assert await bob.home() == list("43210")
    assert await bob.home(page_size=2) == list("43210")
    assert await cyd.home() == []


async def test_a_page_neither_skips_nor_repeats_while_others_post(
    town: Town, ada: Person, bob: Person
) -> None:
    await bob.follow(ada)
    for number in range(6):
        await ada.post(caption=f"{number}")
    await town.settle()
    request = pb.GetHomeFeedRequest(page_size=2)
    seen: list[str] = []
    while True:
        page = await bob.GetHomeFeed(request)
        seen += [post.caption for post in page.posts]
        await ada.post(caption="later")
        await town.settle()
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == list("543210")


async def test_a_new_follower_finds_what_was_posted_before(
    town: Town, ada: Person, bob: Person
) -> None:
    await ada.post(caption="before")
    await town.settle()
    await bob.follow(ada)
    assert await bob.home() == ["before"]
    await bob.UnfollowProfile(relations_pb.UnfollowProfileRequest(handle="ada"))
    assert await bob.home() == []


async def test_what_is_delivered_after_an_unfollow_is_not_shown(
    town: Town, ada: Person, bob: Person
) -> None:
    await bob.follow(ada)
    await ada.post(caption="late")
    await bob.UnfollowProfile(relations_pb.UnfollowProfileRequest(handle="ada"))
    async with town.database.sessions.begin() as session:
        await HomeStore(session).backfill(bob.id, ada.id)
    assert await bob.home() == []


async def test_blocks_and_deletions_act_on_what_was_delivered(
    town: Town, ada: Person, bob: Person, cyd: Person
) -> None:
    for author in (ada, bob):
        await cyd.follow(author)
        await author.post(caption=f"{author.handle} 1")
        await author.post(caption=f"{author.handle} 2")
    await town.settle()
    assert await cyd.home() == ["bob 2", "bob 1", "ada 2", "ada 1"]
    posts = await bob.all_of("ListProfilePosts", posts_pb.ListProfilePostsRequest(handle="bob"))
    await bob.DeletePost(posts_pb.DeletePostRequest(post_id=posts[0].post_id))
    assert await cyd.home() == ["bob 1", "ada 2", "ada 1"]
    await ada.block(cyd)
    # A page is full although most of what was delivered is hidden.
    assert await cyd.home(page_size=1) == ["bob 1"]


async def test_posts_of_large_authors_are_pulled_and_merged(
    town: Town, ada: Person, bob: Person, cyd: Person
) -> None:
    large, small = ada, await town.person("dot")
    await bob.follow(small)
    for follower in (bob, cyd, small):
        await follower.follow(large)
    await large.post(caption="delivered")
    await town.settle()  # Which counts three followers, as many as make an author large here.
    await small.post(caption="small 1")
    await large.post(caption="pulled 1")
    await small.post(caption="small 2")
    await large.post(caption="pulled 2", visibility="followers")
    await town.settle()
    async with town.database.sessions() as session:
        delivered = await session.scalar(
            sa.select(sa.func.count()).where(HomeRow.author_id == large.id)
        )
    assert delivered == 3  # One post to three followers.
    everything = ["pulled 2", "small 2", "pulled 1", "small 1", "delivered"]
    for page_size in (1, 2, 20):
        assert await bob.home(page_size=page_size) == everything
    await large.block(bob)
    assert await bob.home() == ["small 2", "small 1"]


async def test_a_delivery_goes_on_where_it_was(
    town: Town, ada: Person, bob: Person, cyd: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_store, "CHUNK_MAX", 1)
    for follower in (bob, cyd):
        await follower.follow(ada)
    await ada.post(caption="hello")
    async with town.database.sessions.begin() as session:
        await delivery_store.DeliveryStore(session).deliver_chunk(now=town.clock.now())
    assert [await bob.home(), await cyd.home()] == [["hello"], []]
    # A worker that dies takes its chunk back.
    async with town.database.sessions() as session:
        await delivery_store.DeliveryStore(session).deliver_chunk(now=town.clock.now())
    assert await cyd.home() == []
    await asyncio.gather(*(town.social.deliverer.deliver_all() for _ in range(3)))
    assert [await bob.home(), await cyd.home()] == [["hello"], ["hello"]]
    async with town.database.sessions() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(DeliveryRow)) == 0


async def test_who_was_away_finds_a_feed_on_return(town: Town, ada: Person, bob: Person) -> None:
    await bob.follow(ada)
    town.clock.advance(seconds=31 * DAYS)
    await ada.post(caption="missed")
    await town.settle()
    async with town.database.sessions() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(HomeRow)) == 0
    assert await bob.home() == ["missed"]
    await ada.post(caption="next")
    await town.settle()
    assert await bob.home() == ["next", "missed"]


async def test_a_feed_keeps_its_newest_posts(
    town: Town, ada: Person, bob: Person, cyd: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_store, "ENTRIES_MAX", 3)
    for follower in (bob, cyd):
        await follower.follow(ada)
    for number in range(5):
        await ada.post(caption=f"{number}")
    await town.settle()
    await town.social.trimmer.trim_all()
    assert [await bob.home(), await cyd.home()] == [list("432"), list("432")]
    async with town.database.sessions.begin() as session:
        assert await HomeStore(session).trim(None, count=2) is not None


async def test_a_home_feed_needs_a_profile(town: Town) -> None:
    eve = await town.person("eve", joined=False)
    assert (await refusal_of(eve.home())).reason == "PROFILE_MISSING"
