"""What a user sees of runs over REST."""

from __future__ import annotations

import asyncio
import io
import json

import pytest
from PIL import Image

from deploy.client import ApiError, Document, ReelmeshClient
from tests.journeys.mesh import REGIONS, Mesh

PROMPT = "a large blue square on a yellow background"


def picture(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(buffer, "PNG")
    return buffer.getvalue()


async def finished(client: ReelmeshClient, tool: str, inputs: Document, count: int = 1) -> Document:
    run = await client.run(tool, inputs, count)
    run = await client.finished(run["run_id"])
    assert run["state"] == "succeeded", run.get("error")
    return run


async def test_a_watched_run_shows_each_stage_once_and_ends(mesh: Mesh) -> None:
    async with mesh.user() as client:
        run = await client.run("text-to-image", {"prompt": PROMPT, "steps": 20})
        seen = [one async for one in client.watch(run["run_id"])]

        states = list(dict.fromkeys(one["state"] for one in seen))
        steps = [one["step"] for one in seen]
        assert [one for one in ("queued", "running", "succeeded") if one in states] == states
        assert states[-1] == "succeeded"
        assert steps == sorted(steps)
        assert steps[-1] == seen[-1]["steps"] == 20
        assert len(set(steps)) > 3
        assert [one["state"] for one in seen].count("succeeded") == 1
        assert seen[-1] | {"outputs": []} == (await client.get_run(run["run_id"])) | {"outputs": []}


async def test_events_are_server_sent_events(mesh: Mesh) -> None:
    async with mesh.user() as client, mesh.http(client) as http:
        run = await finished(client, "text-to-image", {"prompt": PROMPT, "steps": 4})
        answer = await http.get(
            f"/v1/runs/{run['run_id']}:watch", headers={"accept": "text/event-stream"}
        )

        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [one for one in answer.text.split("\n\n") if one.strip()]
        assert len(events) == 1
        assert json.loads(events[0].removeprefix("data:"))["state"] == "succeeded"


async def test_the_same_seed_gives_the_same_bytes_and_the_times_are_told(mesh: Mesh) -> None:
    async with mesh.user() as client:
        inputs = {"prompt": PROMPT, "steps": 6, "seed": 40}
        single = await finished(client, "text-to-image", inputs)
        double = await finished(client, "text-to-image", inputs | {"seed": 39}, count=2)

        first, second = [await client.download(one["asset_id"]) for one in double["outputs"]]
        assert await client.download(single["outputs"][0]["asset_id"]) == second
        assert first != second
        assert [one["seed"] for one in double["outputs"]] == [39, 40]
        timings = single["timings"]
        assert 0 < timings["run_ms"] <= timings["total_ms"]
        assert timings["upload_ms"] >= 0
        assert single["region"] in REGIONS
        assert single["attempt"] == 1


async def test_an_uploaded_picture_is_redrawn(mesh: Mesh) -> None:
    async with mesh.user() as client:
        asset = await client.upload(picture(), "red.png", "image/png")
        assert asset["state"] == "ready"
        inputs = {"prompt": PROMPT, "image": asset["asset_id"], "steps": 8, "seed": 5}
        weak = await finished(client, "image-to-image", inputs | {"strength": 0.2})
        strong = await finished(client, "image-to-image", inputs | {"strength": 1.0})

        results = [await client.download(one["outputs"][0]["asset_id"]) for one in (weak, strong)]
        distances = [distance(picture(), one) for one in results]
        assert distances[0] < distances[1]
        assert Image.open(io.BytesIO(results[0])).size == (64, 64)


def distance(a: bytes, b: bytes) -> float:
    pixels = [Image.open(io.BytesIO(one)).convert("RGB").tobytes() for one in (a, b)]
    return sum(abs(x - y) for x, y in zip(*pixels, strict=True)) / len(pixels[0])


async def test_a_run_costs_its_estimate_and_no_more(mesh: Mesh) -> None:
    async with mesh.user() as client:
        inputs = {"prompt": PROMPT, "steps": 10}
        estimate = await client.estimate("text-to-image", inputs, count=3)
        run = await finished(client, "text-to-image", inputs, count=3)

        balance, ledger = await client.balance(), await client.ledger()
        assert run["credits_charged"] == estimate > 0
        assert run["credits_held"] == 0
        assert (balance["available"], balance["held"]) == (500 - estimate, 0)
        assert [one["amount_credits"] for one in ledger] == [-estimate, 500]
        assert ledger[0]["reference"] == run["run_id"]


async def test_the_same_key_gives_the_same_run_and_another_body_is_refused(mesh: Mesh) -> None:
    async with mesh.user() as client:
        inputs = {"prompt": PROMPT, "steps": 4, "seed": 1}
        first = await client.run("text-to-image", inputs, key="once")
        again = await client.run("text-to-image", inputs, key="once")
        with pytest.raises(ApiError) as refusal:
            await client.run("text-to-image", inputs | {"seed": 2}, key="once")

        assert again["run_id"] == first["run_id"]
        assert (refusal.value.status, refusal.value.reason) == (409, "IDEMPOTENCY_KEY_REUSED")
        await client.finished(first["run_id"])
        runs = await client.call("GET", "/v1/runs")
        assert [one["run_id"] for one in runs["runs"]] == [first["run_id"]]
        assert (await client.balance())["available"] == 500 - 2


async def test_a_run_beyond_the_credits_is_refused_and_leaves_nothing(mesh: Mesh) -> None:
    async with mesh.user() as client:
        inputs = {"prompt": PROMPT, "steps": 50, "seed": 1}
        runs = [await client.run("text-to-image", inputs, count=8) for _ in range(20)]
        with pytest.raises(ApiError) as refusal:
            await client.run("text-to-image", inputs, count=8)
        before = await client.balance()
        listed = await client.call("GET", "/v1/runs?page_size=200")
        await asyncio.gather(*(client.cancel(run["run_id"]) for run in reversed(runs)))

        assert (refusal.value.status, refusal.value.reason) == (400, "INSUFFICIENT_CREDITS")
        # Also where a run has ended meanwhile: what was held for it is charged then.
        assert before["available"] == 500 - 20 * 24
        assert len(listed["runs"]) == 20
        states = [(await client.finished(run["run_id"]))["state"] for run in runs]
        assert set(states) <= {"canceled", "succeeded"}


async def test_runs_are_listed_by_page_newest_first(mesh: Mesh) -> None:
    async with mesh.user() as client:
        made = []
        for seed in range(3):
            run = await client.run("text-to-image", {"prompt": PROMPT, "steps": 4, "seed": seed})
            made.append((await client.finished(run["run_id"]))["run_id"])
        first = await client.call("GET", "/v1/runs?page_size=2")
        token = first["next_page_token"]
        second = await client.call("GET", f"/v1/runs?page_size=2&page_token={token}")

        assert [one["run_id"] for one in first["runs"] + second["runs"]] == made[::-1]
        assert second["next_page_token"] == ""
