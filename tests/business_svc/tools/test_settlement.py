"""The end of a run: assets, credits and events, each once, however often and badly it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json

import grpc
import pytest
from reelmesh.business.tools.v1 import tools_events_pb2 as events_pb
from reelmesh.business.tools.v1 import tools_service_pb2 as pb
from reelmesh.platform.notifications.v1.notifications_events_pb2 import NoticeRaised
from sqlalchemy import select

from business_svc.tools.journal import RUN_FINISHED
from business_svc.tools.tables import OutboxEvent
from meshkit.notices import NOTICE_RAISED
from meshkit.testing.signals import eventually

from .fakes import BUSY, after, missing, refusal
from .harness import Installation, Process, run_request


async def get(process: Process, run_id: str) -> pb.Run:
    return await process.stub.GetRun(pb.GetRunRequest(run_id=run_id))


async def events(installation: Installation) -> list[events_pb.RunFinished]:
    async with installation.database.sessions() as session:
        rows = await session.scalars(select(OutboxEvent).where(OutboxEvent.subject == RUN_FINISHED))
        return [events_pb.RunFinished.FromString(row.payload) for row in rows]


async def notices(installation: Installation) -> list[NoticeRaised]:
    async with installation.database.sessions() as session:
        rows = await session.scalars(
            select(OutboxEvent).where(OutboxEvent.subject == NOTICE_RAISED)
        )
        return [NoticeRaised.FromString(row.payload) for row in rows]


async def ended(
    process: Process, installation: Installation, state: str = "succeeded", *, pictures: int = 2
) -> pb.Run:
    """Make a run of two pictures whose job has ended and been heard of."""
    run = await process.stub.RunTool(run_request(count=2))
    await process.hear(await installation.inference.finish(run.run_id, state, pictures))
    return run


async def test_a_success_has_its_pictures_and_is_charged(
    process: Process, installation: Installation
) -> None:
    run = await ended(process, installation)
    installation.clock.advance(seconds=2)
    await process.tools.reconciler.run_once()
    run = await get(process, run.run_id)
    assert (run.state, run.progress, run.credits_held, run.credits_charged) == (
        "succeeded",
        1.0,
        0,
        4,
    )
    assert [output.seed for output in run.outputs] == [7, 8]
    assert [output.url for output in run.outputs] == [
        f"http://store/{output.asset_id}" for output in run.outputs
    ]
    assert set(installation.platform.ready) == {output.asset_id for output in run.outputs}
    assert (run.timings.queue_ms, run.timings.run_ms, run.timings.upload_ms) == (5, 900, 20)
    assert run.timings.total_ms == 2000
    [event] = await events(installation)
    assert (event.run_id, event.state, event.credits_charged) == (run.run_id, "succeeded", 4)
    assert list(event.asset_ids) == [output.asset_id for output in run.outputs]
    await installation.check()


async def test_fewer_pictures_cost_less(process: Process, installation: Installation) -> None:
    run = await ended(process, installation, pictures=1)
    await process.tools.reconciler.run_once()
    run = await get(process, run.run_id)
    assert (run.state, run.credits_charged, len(run.outputs)) == ("succeeded", 2, 1)
    assert installation.platform.available[run.org_id] == 498
    await installation.check()


@pytest.mark.parametrize("state", ["failed", "canceled", "expired"])
async def test_any_other_end_is_free(
    process: Process, installation: Installation, state: str
) -> None:
    run = await ended(process, installation, state)
    await process.tools.reconciler.run_once()
    run = await get(process, run.run_id)
    assert (run.state, run.credits_charged, run.credits_held) == (state, 0, 0)
    assert run.HasField("error") == (state != "canceled")
    assert list(run.outputs) == []
    assert installation.platform.ready == {}
    assert installation.platform.available[run.org_id] == 500
    await installation.check()


async def test_an_event_that_comes_again_changes_nothing(
    process: Process, installation: Installation
) -> None:
    run = await ended(process, installation)
    job = installation.inference.of(run.run_id)
    await asyncio.gather(*(process.hear(job) for _ in range(5)))
    await process.tools.reconciler.run_once()
    await process.hear(job)
    assert await process.tools.reconciler.run_once() == 0
    assert len(installation.platform.assets.calls["ImportAsset"]) == 2
    assert len(installation.platform.credits.calls["CaptureHold"]) == 1
    assert len(await events(installation)) == 1
    await installation.check()


@pytest.mark.parametrize("state", ["succeeded", "failed"])
async def test_the_end_of_a_run_is_told_to_its_user_and_to_webhooks(
    process: Process, installation: Installation, state: str
) -> None:
    run = await ended(process, installation, state)
    await process.tools.reconciler.run_once()
    (event,) = await events(installation)
    (notice,) = await notices(installation)
    assert (notice.type, notice.subject_id) == (f"run.{state}", run.run_id)
    assert (notice.org_id, list(notice.user_ids)) == (run.org_id, [event.user_id])
    data = json.loads(notice.data_json)
    assert (data["state"], data["asset_ids"]) == (state, list(event.asset_ids))
    assert run.inputs["prompt"] not in str(notice)


async def test_jobs_of_others_are_left_alone(process: Process, installation: Installation) -> None:
    run = await process.stub.RunTool(run_request())
    job = await installation.inference.finish(run.run_id)
    for key in ("nightly", "run_01h455vb4pex5vsknk084sn02q"):
        job.idempotency_key = key
        await process.hear(job)
    assert (await installation.rows())[0].phase == "active"


async def test_the_end_may_be_heard_before_the_submission_is_recorded(
    process: Process, installation: Installation
) -> None:
    installation.inference.servicer.answer("SubmitJob", after(installation.inference.submit))
    run = await ended(process, installation)
    await process.tools.reconciler.run_once()
    assert (await get(process, run.run_id)).state == "succeeded"
    await installation.check()


async def test_a_job_that_ended_before_its_submission_was_recorded_is_settled_at_once(
    process: Process, installation: Installation
) -> None:
    installation.inference.servicer.answer("SubmitJob", after(installation.inference.submit))
    run = await process.stub.RunTool(run_request())
    await installation.inference.finish(run.run_id)
    installation.clock.advance(seconds=10)
    await process.tools.reconciler.run_once()
    assert (await get(process, run.run_id)).state == "succeeded"
    await installation.check()


async def test_a_process_begins_with_a_look_at_every_active_run(
    installation: Installation,
) -> None:
    async with installation.process() as process:
        run = await process.stub.RunTool(run_request())
    # The end is told to a process that dies; time stands still, so no look is due.
    await installation.inference.finish(run.run_id)
    async with installation.process() as process:
        loop = asyncio.create_task(process.tools.reconciler.run())

        async def settled() -> bool:
            return (await installation.rows())[0].phase == "settled"

        await eventually(settled)
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def test_outputs_that_do_not_verify_fail_the_run_and_free_the_credits(
    process: Process, installation: Installation
) -> None:
    flaw = refusal(grpc.StatusCode.FAILED_PRECONDITION, "UPLOAD_REJECTED", detail="not_decodable")
    installation.platform.assets.answer("ImportAsset", flaw)
    run = await ended(process, installation)
    await process.tools.reconciler.run_once()
    run = await get(process, run.run_id)
    assert (run.state, run.error.reason, run.credits_charged) == ("failed", "OUTPUT_REJECTED", 0)
    assert run.error.message == "output 0 was rejected: UPLOAD_REJECTED not_decodable"
    assert installation.platform.states() == ["released"]
    await installation.check()


@pytest.mark.parametrize(
    "code",
    [
        *(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED),
        *(grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED, grpc.StatusCode.UNKNOWN),
        *(grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
    ids=lambda code: code.name,
)
@pytest.mark.parametrize("method", ["ImportAsset", "CaptureHold"])
async def test_no_trouble_of_the_platform_that_may_pass_ends_a_run(
    process: Process, installation: Installation, method: str, code: grpc.StatusCode
) -> None:
    platform = installation.platform
    servicer, effect = {
        "ImportAsset": (platform.assets, platform.keep),
        "CaptureHold": (platform.credits, platform.capture),
    }[method]
    servicer.always(method, refusal(code, "TROUBLE"))
    run = await ended(process, installation)
    await process.tools.reconciler.run_once()
    assert [row.phase for row in await installation.rows()] == ["settling"]
    servicer.always(method, effect)
    installation.clock.advance(seconds=31)
    await process.tools.reconciler.run_once()
    run = await get(process, run.run_id)
    assert (run.state, run.credits_charged, len(run.outputs)) == ("succeeded", 4, 2)
    await installation.check()


async def test_a_hold_that_is_gone_fails_the_run(
    process: Process, installation: Installation
) -> None:
    run = await ended(process, installation)
    installation.platform.holds[run.run_id].state = "released"
    await process.tools.reconciler.run_once()
    run = await get(process, run.run_id)
    assert (run.state, run.error.reason, run.credits_charged) == ("failed", "HOLD_LOST", 0)
    await installation.check()


async def test_a_lost_event_strands_no_run(process: Process, installation: Installation) -> None:
    run = await process.stub.RunTool(run_request())
    await installation.inference.finish(run.run_id)
    assert await process.tools.reconciler.run_once() == 0
    installation.clock.advance(seconds=31)
    assert await process.tools.reconciler.run_once() == 1
    assert (await get(process, run.run_id)).state == "succeeded"
    await installation.check()


async def test_a_job_that_inference_lost_fails_the_run(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    installation.inference.servicer.answer("GetJob", missing("JOB_NOT_FOUND"))
    installation.clock.advance(seconds=31)
    await process.tools.reconciler.run_once()
    run = await get(process, run.run_id)
    assert (run.state, run.error.reason) == ("failed", "JOB_LOST")
    await installation.check()


async def test_a_run_that_goes_on_is_looked_at_again_and_again(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    await installation.inference.start(run.run_id, step=3)
    for _ in range(3):
        installation.clock.advance(seconds=31)
        assert await process.tools.reconciler.run_once() == 1
    [row] = await installation.rows()
    assert (row.phase, row.state, row.progress["step"]) == ("active", "running", 3)


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("method", ["HoldCredits", "SubmitJob", "ImportAsset", "CaptureHold"])
async def test_a_crash_at_any_step_loses_nothing_and_charges_once(
    installation: Installation, method: str, lost: str
) -> None:
    platform, inference = installation.platform, installation.inference
    servicer, effect = {
        "HoldCredits": (platform.credits, platform.hold),
        "SubmitJob": (inference.servicer, inference.submit),
        "ImportAsset": (platform.assets, platform.keep),
        "CaptureHold": (platform.credits, platform.capture),
    }[method]
    servicer.answer(method, after(effect) if lost == "answer" else BUSY)
    key = (("idempotency-key", "k"),)
    async with installation.process() as process:
        with contextlib.suppress(grpc.aio.AioRpcError):
            await process.stub.RunTool(run_request(count=2), metadata=key)
    # The process is gone with all that it had in memory; another one comes up.
    async with installation.process() as process:
        installation.clock.advance(seconds=10)
        await process.tools.reconciler.run_once()
        run = await process.stub.RunTool(run_request(count=2), metadata=key)
        await process.hear(await installation.inference.finish(run.run_id, pictures=2))
        await process.tools.reconciler.run_once()
    async with installation.process() as process:
        installation.clock.advance(seconds=10)
        await process.tools.reconciler.run_once()
        run = await get(process, run.run_id)
    assert (run.state, run.credits_charged, len(run.outputs)) == ("succeeded", 4, 2)
    assert len(installation.inference.jobs) == 1
    assert len(installation.platform.ready) == 2
    assert installation.platform.available[run.org_id] == 496
    assert len(await events(installation)) == 1
    await installation.check()


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_crash_while_releasing_leaves_no_hold(
    installation: Installation, lost: str
) -> None:
    platform = installation.platform
    platform.credits.answer("ReleaseHold", after(platform.release) if lost == "answer" else BUSY)
    async with installation.process() as process:
        run = await ended(process, installation, "failed")
        await process.tools.reconciler.run_once()
        assert (await get(process, run.run_id)).state == "queued"
    async with installation.process() as process:
        installation.clock.advance(seconds=10)
        await process.tools.reconciler.run_once()
        assert (await get(process, run.run_id)).state == "failed"
    assert platform.states() == ["released"]
    await installation.check()


async def test_two_processes_settle_one_run_once(installation: Installation) -> None:
    async with installation.process() as one, installation.process() as other:
        run = await ended(one, installation)
        [row] = await installation.rows()
        drivers = [one.tools.reconciler, other.tools.reconciler]
        await asyncio.gather(*(driver.move_on(row.id) for driver in drivers))
        assert (await get(one, run.run_id)).state == "succeeded"
    assert installation.platform.available[run.org_id] == 496
    assert len(await events(installation)) == 1
    await installation.check()
