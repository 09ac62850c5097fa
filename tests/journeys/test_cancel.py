"""Canceling: while queued and while running, nothing is charged and no asset appears."""

from __future__ import annotations

import asyncio

from deploy.client import Document, ReelmeshClient
from tests.journeys.mesh import Mesh

LONG = {"prompt": "a red circle", "steps": 50, "seed": 3}
TERMINAL = {"succeeded", "failed", "canceled", "expired"}


async def until_running(client: ReelmeshClient, run_id: str, step: int) -> Document:
    async for run in client.watch(run_id):
        if run["step"] >= step or run["state"] in TERMINAL:
            return run
    raise AssertionError("the stream ended early")


async def assert_nothing_happened(client: ReelmeshClient, run_id: str) -> None:
    run = await client.get_run(run_id)
    assert run["state"] == "canceled"
    assert (run["credits_held"], run["credits_charged"], run["outputs"]) == (0, 0, [])
    balance = await client.balance()
    assert (balance["available"], balance["held"]) == (500, 0)
    assert (await client.call("GET", "/v1/assets"))["assets"] == []
    assert [one["kind"] for one in await client.ledger()] == ["grant"]


async def test_a_running_run_ends_within_two_steps(mesh: Mesh) -> None:
    async with mesh.user() as client:
        run = await client.run("text-to-image", LONG, count=8)
        running = await until_running(client, run["run_id"], step=3)
        assert running["state"] == "running"

        answered = await client.cancel(run["run_id"])
        ended = await client.finished(run["run_id"])

        assert ended["state"] == "canceled"
        # A canceled run's step counts what the pipeline really ran, not what was last heard of.
        assert ended["step"] - max(answered["step"], running["step"]) <= 2
        await assert_nothing_happened(client, run["run_id"])


async def test_a_queued_run_ends_at_once(mesh: Mesh) -> None:
    # Enough work before it that it stays in the queue, also with two replicas.
    async with mesh.users(3) as (busy, other, client):
        ahead = [(one, await one.run("text-to-image", LONG, count=8)) for one in (busy, other)]
        ahead += [(busy, await busy.run("text-to-image", LONG, count=8)) for _ in range(4)]
        run = await client.run("text-to-image", LONG)

        answered = await client.cancel(run["run_id"])
        ended = await client.finished(run["run_id"])
        for one, early in ahead:
            await one.cancel(early["run_id"])

        assert answered["state"] in {"canceled", "queued"}
        assert ended["state"] == "canceled"
        assert ended["step"] == 0
        await assert_nothing_happened(client, run["run_id"])
        await asyncio.gather(*(one.finished(early["run_id"]) for one, early in ahead))


async def test_canceling_twice_or_after_the_end_changes_nothing(mesh: Mesh) -> None:
    async with mesh.user() as client:
        run = await client.run("text-to-image", LONG | {"steps": 4})
        done = await client.finished(run["run_id"])
        after = await client.cancel(run["run_id"])
        other = await client.run("text-to-image", LONG, count=8)
        await client.cancel(other["run_id"])
        await client.cancel(other["run_id"])

        assert after["state"] == done["state"] == "succeeded"
        assert after["credits_charged"] == done["credits_charged"]
        assert (await client.finished(other["run_id"]))["state"] == "canceled"
        assert (await client.balance())["available"] == 500 - done["credits_charged"]
