"""CancelRun: at once in the queue, soon when running, never for what has ended."""

from __future__ import annotations

import asyncio

import pytest
from reelmesh.business.tools.v1 import tools_service_pb2 as pb

from .fakes import BUSY, after
from .harness import Installation, Process, run_request


async def cancel(process: Process, run_id: str) -> pb.Run:
    return await process.stub.CancelRun(pb.CancelRunRequest(run_id=run_id))


async def get(process: Process, run_id: str) -> pb.Run:
    return await process.stub.GetRun(pb.GetRunRequest(run_id=run_id))


async def test_a_queued_run_ends_at_once_and_is_free(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    run = await cancel(process, run.run_id)
    assert (run.state, run.credits_held, run.credits_charged) == ("canceled", 0, 0)
    assert not run.HasField("error")
    assert installation.platform.ready == {}
    assert installation.platform.available[run.org_id] == 500
    await installation.check()


async def test_a_running_run_ends_when_its_replica_has_seen_the_wish(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    job = await installation.inference.start(run.run_id)
    assert (await cancel(process, run.run_id)).state == "running"
    assert job.cancel_requested
    await process.hear(await installation.inference.finish(run.run_id, "canceled"))
    await process.tools.reconciler.run_once()
    assert (await get(process, run.run_id)).state == "canceled"
    assert installation.platform.ready == {}
    await installation.check()


async def test_a_job_that_was_faster_than_the_wish_is_charged(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    await installation.inference.finish(run.run_id)
    run = await cancel(process, run.run_id)
    assert (run.state, run.credits_charged, len(run.outputs)) == ("succeeded", 2, 1)
    await installation.check()


async def test_canceling_what_has_ended_changes_nothing(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    first = await cancel(process, run.run_id)
    assert await cancel(process, run.run_id) == first
    assert len(installation.inference.servicer.calls["CancelJob"]) == 1


async def test_a_run_can_be_canceled_before_its_job_is_known(
    process: Process, installation: Installation
) -> None:
    inference = installation.inference
    inference.servicer.answer("SubmitJob", after(inference.submit))
    run = await process.stub.RunTool(run_request())
    assert (await cancel(process, run.run_id)).state == "canceled"
    assert [job.state for job in inference.jobs.values()] == ["canceled"]
    await installation.check()


@pytest.mark.parametrize("method", ["SubmitJob", "CancelJob"])
async def test_the_wish_survives_while_inference_is_away_and_a_crash(
    installation: Installation, method: str
) -> None:
    servicer = installation.inference.servicer
    async with installation.process() as process:
        servicer.answer("SubmitJob", *([BUSY, BUSY] if method == "SubmitJob" else []))
        servicer.answer("CancelJob", *([BUSY] if method == "CancelJob" else []))
        run = await process.stub.RunTool(run_request())
        assert (await cancel(process, run.run_id)).state == "queued"
    async with installation.process() as process:
        installation.clock.advance(seconds=10)
        await process.tools.reconciler.run_once()
        assert (await get(process, run.run_id)).state == "canceled"
    await installation.check()


async def test_cancels_and_the_end_may_come_all_at_once(
    process: Process, installation: Installation
) -> None:
    for _ in range(5):
        run = await process.stub.RunTool(run_request())
        await installation.inference.start(run.run_id)
        job = await installation.inference.finish(run.run_id)
        await asyncio.gather(
            process.hear(job),
            process.tools.reconciler.run_once(),
            *(cancel(process, run.run_id) for _ in range(3)),
        )
        await process.tools.reconciler.run_once()
        assert (await get(process, run.run_id)).state == "succeeded"
    await installation.check()
