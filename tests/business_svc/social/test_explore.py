"""Explore: numbered rankings by stored scores."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from reelmesh.business.social.v1 import feeds_service_pb2 as pb
from reelmesh.business.social.v1 import reactions_service_pb2 as reactions_pb
from reelmesh.business.social.v1.feeds_service_pb2_grpc import FeedsServiceStub

from business_svc.social.ranking import PER_AUTHOR_MAX, RANKED_MAX, Candidate, hot_score, ranked
from tests.platform_svc.refusals import refusal_of

from .people import Person, Town

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NUMBERS = st.integers(0, 10_000)


def score(likes: int = 0, commenters: int = 0, remixes: int = 0, *, hours: float = 0) -> float:
    created_at = NOON + timedelta(hours=hours)
    return hot_score(likes=likes, commenters=commenters, remixes=remixes, created_at=created_at)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_more_of_anything_scores_higher(likes: int, commenters: int, remixes: int) -> None:
    before = score(likes, commenters, remixes)
    assert score(likes + 1, commenters, remixes) > before
    assert score(likes, commenters + 1, remixes) > before
    assert score(likes, commenters, remixes + 1) > score(likes + 1, commenters, remixes)


def test_ten_times_the_points_are_worth_half_a_day() -> None:
    assert abs(score(likes=18) - score(hours=12)) < 1e-9
    assert score(likes=100) > score(hours=12) > score(likes=10)


@given(st.lists(st.integers(0, 5), max_size=200))
def test_a_ranking_keeps_the_order_and_bounds_each_author(authors: list[int]) -> None:
    candidates = [Candidate(uuid.UUID(int=i), uuid.UUID(int=a)) for i, a in enumerate(authors)]
    chosen = ranked(candidates)
    assert chosen == sorted(chosen)
    for author in set(authors):
        own = [one for one in chosen if authors[one.int] == author]
        assert len(own) == min(authors.count(author), PER_AUTHOR_MAX)


def test_a_ranking_is_bounded() -> None:
    many = [Candidate(uuid.UUID(int=i), uuid.UUID(int=i)) for i in range(RANKED_MAX + 5)]
    assert len(ranked(many)) == RANKED_MAX


async def explore(person: Person, **fields: int) -> list[str]:
    return [post.caption for post in await person.all_of("Explore", pb.ExploreRequest(**fields))]


async def like(person: Person, post_id: str) -> None:
    await person.LikePost(reactions_pb.LikePostRequest(post_id=post_id))


async def test_what_others_like_stands_first(
    town: Town, ada: Person, bob: Person, cyd: Person
) -> None:
    posts = [await ada.post(caption=f"{number}") for number in range(3)]
    await town.settle()
    assert await explore(bob) == ["2", "1", "0"]
    for one in (bob, cyd):
        await like(one, posts[0].post_id)
    await like(ada, posts[1].post_id)  # One's own like does not count here.
    await town.settle()
    assert await explore(bob) == ["0", "2", "1"]
    async with town.mesh.as_anyone(FeedsServiceStub) as anyone:
        answer = await anyone.Explore(pb.ExploreRequest())
    assert [post.caption for post in answer.posts] == ["0", "2", "1"]
    assert answer.ranking == 2


async def test_pages_stay_those_of_one_ranking(town: Town, ada: Person, bob: Person) -> None:
    posts = [await ada.post(caption=f"{number}") for number in range(4)]
    await town.settle()
    first = await bob.Explore(pb.ExploreRequest(page_size=2))
    assert [post.caption for post in first.posts] == ["3", "2"]
    await like(bob, posts[0].post_id)
    await ada.post(caption="new")
    await town.settle()
    token = first.next_page_token
    second = await bob.Explore(pb.ExploreRequest(page_size=2, page_token=token))
    assert [post.caption for post in second.posts] == ["1", "0"]
    assert second.ranking == first.ranking
    # What is hidden meanwhile is left out, and the page is filled up.
    assert (await explore(bob, page_size=1))[0] == "0"
    town.clock.advance(seconds=3601)
    await town.settle()
    gone = pb.ExploreRequest(page_size=2, page_token=token)
    assert (await refusal_of(bob.Explore(gone))).reason == "INVALID_PAGE_TOKEN"


async def test_an_unchanged_order_makes_no_new_ranking(town: Town, ada: Person) -> None:
    await ada.post()
    for _ in range(3):
        town.clock.advance(seconds=3600)
        await town.settle()
    assert (await ada.Explore(pb.ExploreRequest())).ranking == 1


async def test_what_is_not_public_or_blocked_is_left_out(
    town: Town, ada: Person, bob: Person, cyd: Person
) -> None:
    await ada.post(caption="ada")
    await ada.post(caption="hidden", visibility="followers")
    await bob.post(caption="bob")
    await town.settle()
    await cyd.block(ada)
    assert await explore(cyd) == ["bob"]
    assert await explore(ada, page_size=1) == ["bob", "ada"]


async def test_explore_is_empty_before_the_first_ranking(ada: Person) -> None:
    assert await ada.Explore(pb.ExploreRequest()) == pb.ExploreResponse()
