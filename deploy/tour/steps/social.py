"""A picture is posted, remixed, liked and taken down."""

from __future__ import annotations

import secrets
from typing import Final

from deploy.client import Document, ReelmeshClient
from deploy.tour.guide import Guide

ORDER: Final = 60
TITLE: Final = "Posts, remixes and feeds"


async def run(guide: Guide) -> None:
    """Let one user's post become another's remix, and an operator take it down."""
    async with guide.user("maker") as maker, guide.user("fan") as fan:
        made_by, seen_by = await joined(maker, "maker"), await joined(fan, "fan")
        await fan.call("POST", f"/v1/profiles/{made_by}:follow", {})
        post = await posted(maker, await guide.picture(maker, "a red circle"), "first")
        guide.say(f"@{made_by} posted {post['post_id']}")

        async def delivered() -> bool:
            feed = await fan.call("GET", "/v1/feed")
            return [one["post_id"] for one in feed["posts"]] == [post["post_id"]]

        await guide.until("the post in the follower's home feed", delivered)
        await fan.call("POST", f"/v1/posts/{post['post_id']}:like", {})
        guide.say(f"@{seen_by} found it in the home feed and liked it")
        await _remix(guide, fan, post)
        await _take_down(guide, fan, post)


async def joined(client: ReelmeshClient, name: str) -> str:
    """Make a profile and give its handle."""
    handle = f"{name}_{secrets.token_hex(4)}"
    body = {"handle": handle, "display_name": name.title()}
    await client.call("POST", "/v1/profiles", body)
    return handle


async def posted(client: ReelmeshClient, run: Document, caption: str) -> Document:
    """Post the picture of a run."""
    media = {"kind": "asset", "id": run["outputs"][0]["asset_id"]}
    return await client.call("POST", "/v1/posts", {"media": media, "caption": caption})


async def _remix(guide: Guide, fan: ReelmeshClient, post: Document) -> None:
    copy = await fan.call("POST", f"/v1/posts/{post['post_id']}:remix", {})
    inputs = {"prompt": "a blue circle", "image": copy["asset_id"], "steps": 4}
    begun = await fan.run("image-to-image", inputs)
    run = await fan.finished(begun["run_id"])
    remix = await posted(fan, run, "my remix")
    path = f"/v1/posts/{remix['post_id']}/lineage"
    ancestors = (await fan.call("GET", path))["ancestors"]
    guide.check(
        [(one["post_id"], one["run_id"]) for one in ancestors]
        == [(post["post_id"], run["run_id"])],
        f"the lineage is {ancestors}",
    )
    guide.say(f"{remix['post_id']} is a remix of it, says the run {run['run_id']}")


async def _take_down(guide: Guide, fan: ReelmeshClient, post: Document) -> None:
    path = f"/v1/posts/{post['post_id']}"
    await fan.call("POST", f"{path}:report", {"reason": "illegal"})
    async with guide.operator() as operator:
        cases = (await operator.call("GET", "/v1/ops/moderation/cases"))["cases"]
        case = next(one for one in cases if one["subject_id"] == post["post_id"])
        decide = f"/v1/ops/moderation/cases/{case['case_id']}:decide"
        await operator.call("POST", decide, {"decision": "take_down"})
    await guide.refused(fan.call("GET", path), "POST_NOT_FOUND")
    feed = await fan.call("GET", "/v1/feed")
    guide.check(not feed["posts"], "what was taken down is still in the feed")
    guide.say("reported and taken down, it was gone from every feed with the next read")
