"""Posts, remixes and feeds over the REST API of the running platform."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from deploy.account import sign_in_as_operator
from deploy.client import ApiError, Document, ReelmeshClient
from deploy.tour.steps.social import joined, posted
from tests.journeys.mesh import POLL_SECONDS, Mesh

PNG = b"\x89PNG"


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - other processes set no events here
            await asyncio.sleep(POLL_SECONDS)


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(ApiError) as refusal:
        await call
    return refusal.value.reason


async def picture(client: ReelmeshClient, tool: str = "text-to-image", **inputs: Any) -> Document:
    begun = await client.run(tool, {"prompt": "a red circle", "steps": 4} | inputs)
    run = await client.finished(begun["run_id"])
    assert run["state"] == "succeeded", run
    return run


async def feed(client: ReelmeshClient, path: str = "/v1/feed") -> list[str]:
    return [post["post_id"] for post in (await client.call("GET", path))["posts"]]


async def test_a_post_is_followed_remixed_and_taken_down(mesh: Mesh) -> None:
    async with mesh.users(2) as (maker, fan):
        handle, _ = await joined(maker, "maker"), await joined(fan, "fan")
        first, second = await asyncio.gather(picture(maker), picture(maker))
        await fan.call("POST", f"/v1/profiles/{handle}:follow", {})
        post = await posted(maker, first, "first")
        post_id = post["post_id"]
        assert (post["tool"], post["remix_depth"]) == ("text-to-image", 0)

        async def delivered() -> bool:
            return await feed(fan) == [post_id]

        await until(delivered)
        await fan.call("POST", f"/v1/posts/{post_id}:like", {})
        comment = {"text": "how round"}
        await fan.call("POST", f"/v1/posts/{post_id}/comments", comment)

        async def counted() -> bool:
            seen = await maker.call("GET", f"/v1/posts/{post_id}")
            return (seen["like_count"], seen["comment_count"]) == (1, 1)

        await until(counted)

        # What the run was made of is what it says, and a picture of one's own has no parents.
        copy = await fan.call("POST", f"/v1/posts/{post_id}:remix", {})
        run = await picture(fan, "image-to-image", image=copy["asset_id"])
        remix = await posted(fan, run, "remix")
        lineage = await maker.call("GET", f"/v1/posts/{remix['post_id']}/lineage")
        assert [(one["post_id"], one["run_id"]) for one in lineage["ancestors"]] == [
            (post_id, run["run_id"])
        ]
        await posted(maker, second, "second")

        await check_pictures(mesh, post, fan)
        await fan.call("POST", f"/v1/posts/{post_id}:report", {"reason": "copyright"})
        async with ReelmeshClient(mesh.gateway_url) as operator:
            await sign_in_as_operator(operator, mesh.layout)
            cases = (await operator.call("GET", "/v1/ops/moderation/cases"))["cases"]
            case = next(one for one in cases if one["subject_id"] == post_id)
            path = f"/v1/ops/moderation/cases/{case['case_id']}:decide"
            decision = {"decision": "dismiss"}
            assert await refused(fan.call("POST", path, decision)) == "CALLER_NOT_ALLOWED"
            await operator.call("POST", path, {"decision": "take_down"})
        assert await refused(maker.call("GET", f"/v1/posts/{post_id}")) == "POST_NOT_FOUND"
        assert post_id not in await feed(fan)
        async with mesh.http() as anyone:
            assert (await anyone.get(f"/v1/posts/{post_id}/picture")).status_code == 404
        reports = (await fan.call("GET", "/v1/me/reports"))["reports"]
        assert [one["state"] for one in reports] == ["acted_on"]
    assert await mesh.offenders() == {}


async def check_pictures(mesh: Mesh, post: Document, fan: ReelmeshClient) -> None:
    """Demand that the picture is there for anybody, also in explore, and is a picture."""

    async def ranked() -> bool:
        return post["post_id"] in await feed(fan, "/v1/explore?page_size=100")

    await until(ranked)
    async with mesh.http() as anyone, httpx.AsyncClient(trust_env=False) as store:
        listed = (await anyone.get("/v1/explore")).json()
        assert listed["posts"]
        answer = await anyone.get(post["media"]["url"])
        assert answer.status_code == 302
        assert (await store.get(answer.headers["location"])).content.startswith(PNG)


async def test_a_block_acts_at_once_and_a_deleted_account_is_erased(mesh: Mesh) -> None:
    async with mesh.users(2) as (ada, bob):
        hers, his = await joined(ada, "ada"), await joined(bob, "bob")
        run = await picture(ada)
        post = await posted(ada, run, "hello")
        await bob.call("POST", f"/v1/profiles/{hers}:follow", {})

        async def delivered() -> bool:
            return await feed(bob) == [post["post_id"]]

        await until(delivered)
        await ada.call("POST", f"/v1/profiles/{his}:block", {})
        assert await feed(bob) == []
        assert await refused(bob.call("GET", f"/v1/profiles/{hers}")) == "PROFILE_NOT_FOUND"
        await ada.call("DELETE", "/v1/me")

        async def erased() -> bool:
            async with mesh.http() as anyone:
                return (await anyone.get(f"/v1/posts/{post['post_id']}")).status_code == 404

        await until(erased)
