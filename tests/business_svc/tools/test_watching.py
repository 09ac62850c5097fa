"""WatchRun: how it stands at once, each change, and the end, whatever restarts meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import grpc
import pytest
from reelmesh.business.tools.v1 import tools_service_pb2 as pb

from meshkit.errors import Unavailable
from meshkit.testing.signals import eventually

from .harness import Installation, Process, run_request


def watch(process: Process, run_id: str) -> Any:
    return process.stub.WatchRun(pb.WatchRunRequest(run_id=run_id))


async def until(stream: Any, state: str) -> list[pb.Run]:
    """Read messages up to the first one with the state."""
    messages: list[pb.Run] = []
    async with asyncio.timeout(5):
        while not messages or messages[-1].state != state:
            message = await stream.read()
            assert message is not grpc.aio.EOF, messages
            messages.append(message)
    return messages


async def settle(process: Process, installation: Installation, run_id: str) -> None:
    await process.hear(await installation.inference.finish(run_id))
    await process.tools.reconciler.run_once()


async def test_a_run_is_followed_from_the_queue_to_its_pictures(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    stream = watch(process, run.run_id)
    assert [message.state for message in await until(stream, "queued")] == ["queued"]
    for step in (1, 2, 3):
        await installation.inference.start(run.run_id, step=step)
        async with asyncio.timeout(5):
            assert (await stream.read()).step == step
    await settle(process, installation, run.run_id)
    last = (await until(stream, "succeeded"))[-1]
    assert (last.credits_charged, last.progress) == (2, 1.0)
    assert last.outputs[0].url
    assert await stream.read() is grpc.aio.EOF


async def test_messages_tell_only_of_changes(process: Process, installation: Installation) -> None:
    run = await process.stub.RunTool(run_request())
    stream = watch(process, run.run_id)
    await until(stream, "queued")
    for _ in range(20):
        await installation.inference.start(run.run_id, step=4)
    await settle(process, installation, run.run_id)
    messages = await until(stream, "succeeded")
    assert all(one != other for one, other in itertools.pairwise(messages))


async def test_a_finished_run_is_told_once(process: Process, installation: Installation) -> None:
    run = await process.stub.RunTool(run_request())
    await settle(process, installation, run.run_id)
    messages = [message async for message in watch(process, run.run_id)]
    assert [message.state for message in messages] == ["succeeded"]
    assert installation.inference.servicer.calls["WatchJob"] == []


async def test_many_may_watch_one_run(process: Process, installation: Installation) -> None:
    run = await process.stub.RunTool(run_request())
    streams = [watch(process, run.run_id) for _ in range(10)]
    await asyncio.gather(*(until(stream, "queued") for stream in streams))
    await installation.inference.start(run.run_id)
    await asyncio.gather(*(until(stream, "running") for stream in streams))
    await settle(process, installation, run.run_id)
    lasts = await asyncio.gather(*(until(stream, "succeeded") for stream in streams))
    assert len({messages[-1].run_id for messages in lasts}) == 1


async def test_a_watcher_who_leaves_is_forgotten(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    stream = watch(process, run.run_id)
    await until(stream, "queued")
    changes = process.tools.servicer.watcher.changes
    assert changes.watched == 1
    stream.cancel()

    async def forgotten() -> bool:
        return changes.watched == 0 and installation.inference.watchers == 0

    await eventually(forgotten)


async def test_a_watch_survives_the_restart_of_inference(
    process: Process, installation: Installation
) -> None:
    inference = installation.inference
    run = await process.stub.RunTool(run_request())
    job = await inference.start(run.run_id, step=2)
    away = Unavailable("restarting")
    # A stream that breaks after a message, then a server that is not up yet.
    inference.servicer.answer("WatchJob", [job, away], *[away] * 4)
    stream = watch(process, run.run_id)
    await until(stream, "running")
    await inference.start(run.run_id, step=9)
    async with asyncio.timeout(5):
        while (await stream.read()).step != 9:
            pass
    await settle(process, installation, run.run_id)
    await until(stream, "succeeded")


async def test_a_settlement_by_another_process_is_seen(installation: Installation) -> None:
    async with installation.process() as one, installation.process() as other:
        run = await one.stub.RunTool(run_request())
        stream = watch(one, run.run_id)
        await until(stream, "queued")
        await settle(other, installation, run.run_id)
        assert (await until(stream, "succeeded"))[-1].credits_charged == 2


@pytest.mark.parametrize("state", ["failed", "canceled", "expired"])
async def test_a_watch_ends_with_any_final_state(
    process: Process, installation: Installation, state: str
) -> None:
    run = await process.stub.RunTool(run_request())
    stream = watch(process, run.run_id)
    await until(stream, "queued")
    await process.hear(await installation.inference.finish(run.run_id, state))
    await process.tools.reconciler.run_once()
    await until(stream, state)
    assert await stream.read() is grpc.aio.EOF
