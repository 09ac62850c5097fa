"""RunTool: one run per wish, its credits held, its job submitted, and nothing left of a refusal."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from reelmesh.platform.assets.v1 import assets_service_pb2 as assets_pb
from sqlalchemy import func, select

from business_svc.tools.tables import IdempotencyKey
from meshkit.ids import format_id
from meshkit.testing.identity import USER

from .fakes import BUSY, after, closed
from .harness import Installation, Process, reason, run_request

KEY = (("idempotency-key", "k1"),)
ORG = format_id("org", USER.organization_id)
ASSET = "ast_01h455vb4pex5vsknk084sn02q"


async def test_a_run_is_held_submitted_and_answered(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request(count=2, inputs={"seed": 7}))
    assert (run.state, run.count, run.credits_held, run.credits_charged) == ("queued", 2, 4, 0)
    assert (run.org_id, run.tool, run.tool_version) == (ORG, "text-to-image", "1.1.0")
    assert MessageToDict(run.inputs) == {
        "prompt": "a red circle",
        "negative_prompt": "",
        "seed": 7,
        "steps": 20,
        "guidance_scale": 2,
        "width": 64,
        "height": 64,
    }
    [hold] = installation.platform.credits.calls["HoldCredits"]
    assert (hold.hold_id, hold.org_id, hold.amount_credits) == (run.run_id, ORG, 4)
    [job] = installation.inference.servicer.calls["SubmitJob"]
    assert (job.idempotency_key, job.tenant_id, job.count) == (run.run_id, ORG, 2)
    assert (job.model, job.task, job.band) == ("shapes", "text-to-image", 0)
    assert job.inputs == run.inputs
    deadline = job.start_deadline.ToDatetime(tzinfo=installation.clock.now().tzinfo)
    held_until = installation.clock.now() + timedelta(seconds=hold.hold_seconds)
    assert installation.clock.now() < deadline < held_until


async def test_a_seed_is_drawn_and_recorded(process: Process) -> None:
    runs = [await process.stub.RunTool(run_request()) for _ in range(3)]
    seeds = {run.inputs["seed"] for run in runs}
    assert len(seeds) == 3
    assert all(0 <= seed < 2**31 - 8 for seed in seeds)


@pytest.mark.parametrize("by_header", [True, False])
async def test_one_key_makes_one_run_however_many_ask_at_once(
    process: Process, installation: Installation, *, by_header: bool
) -> None:
    request = run_request(request_id="" if by_header else "k1")
    metadata = KEY if by_header else ()
    runs = await asyncio.gather(
        *(process.stub.RunTool(request, metadata=metadata) for _ in range(10))
    )
    assert len({run.run_id for run in runs}) == 1
    assert len(installation.platform.holds) == len(installation.inference.jobs) == 1
    assert len(await installation.rows()) == 1


async def test_one_key_makes_one_run_over_two_processes(installation: Installation) -> None:
    async with installation.process() as one, installation.process() as other:
        runs = await asyncio.gather(
            *(p.stub.RunTool(run_request(), metadata=KEY) for p in (one, other) * 5)
        )
    assert len({run.run_id for run in runs}) == 1
    assert len(installation.platform.holds) == len(installation.inference.jobs) == 1


async def test_a_key_with_another_body_is_refused(
    process: Process, installation: Installation
) -> None:
    await process.stub.RunTool(run_request(), metadata=KEY)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.RunTool(run_request(count=2), metadata=KEY)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason(refused.value) == "IDEMPOTENCY_KEY_REUSED"
    assert len(await installation.rows()) == 1


async def test_a_key_gives_the_run_as_it_stands(
    process: Process, installation: Installation
) -> None:
    first = await process.stub.RunTool(run_request(), metadata=KEY)
    await process.hear(await installation.inference.finish(first.run_id))
    await process.tools.reconciler.run_once()
    again = await process.stub.RunTool(run_request(), metadata=KEY)
    assert (again.run_id, again.state) == (first.run_id, "succeeded")


async def keys(installation: Installation) -> int | None:
    async with installation.database.sessions() as session:
        return await session.scalar(select(func.count()).select_from(IdempotencyKey))


async def test_too_few_credits_change_nothing(process: Process, installation: Installation) -> None:
    installation.platform.available[ORG] = 1
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.RunTool(run_request(), metadata=KEY)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(refused.value) == "INSUFFICIENT_CREDITS"
    assert await installation.rows() == []
    assert await keys(installation) == 0
    assert installation.inference.jobs == {}
    installation.platform.available[ORG] = 2
    assert (await process.stub.RunTool(run_request(), metadata=KEY)).state == "queued"


async def test_an_unexpected_refusal_leaves_nothing(
    process: Process, installation: Installation
) -> None:
    installation.platform.credits.answer("HoldCredits", closed("ACCOUNT_FROZEN"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.RunTool(run_request())
    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert await installation.rows() == []


async def test_an_input_image_is_resolved_to_its_object(
    process: Process, installation: Installation
) -> None:
    installation.platform.ready[ASSET] = assets_pb.Asset(asset_id=ASSET, org_id=ORG)
    request = run_request(tool="image-to-image", inputs={"image": ASSET, "strength": 0.5})
    run = await process.stub.RunTool(request)
    assert run.inputs["image"] == ASSET
    [job] = installation.inference.servicer.calls["SubmitJob"]
    assert job.inputs["image_key"] == f"assets/{ASSET}"
    assert job.inputs["strength"] == 0.5
    assert "image" not in job.inputs


async def test_an_image_of_somebody_else_does_not_exist(
    process: Process, installation: Installation
) -> None:
    installation.platform.ready[ASSET] = assets_pb.Asset(asset_id=ASSET, org_id="org_other")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.RunTool(run_request(tool="image-to-image", inputs={"image": ASSET}))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason(refused.value) == "ASSET_NOT_FOUND"
    assert await installation.rows() == []
    assert installation.platform.holds == {}


async def test_a_video_is_no_image(process: Process, installation: Installation) -> None:
    installation.platform.ready[ASSET] = assets_pb.Asset(
        asset_id=ASSET, org_id=ORG, content_type="video/mp4"
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.RunTool(run_request(tool="image-to-image", inputs={"image": ASSET}))
    assert reason(refused.value) == "ASSET_NOT_FOUND"
    assert installation.platform.holds == {}


async def test_while_the_platform_is_away_a_run_without_a_key_is_given_up(
    process: Process, installation: Installation
) -> None:
    platform = installation.platform
    platform.credits.answer("HoldCredits", after(platform.hold))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.RunTool(run_request())
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert platform.states() == ["pending"]
    installation.clock.advance(seconds=10)
    assert await process.tools.reconciler.run_once() == 1
    assert platform.states() == ["released"]
    assert await installation.rows() == []
    assert installation.inference.jobs == {}


async def test_a_hold_whose_reply_was_lost_is_freed_when_the_image_is_gone(
    process: Process, installation: Installation
) -> None:
    platform = installation.platform
    platform.ready[ASSET] = assets_pb.Asset(asset_id=ASSET, org_id=ORG)
    platform.credits.answer("HoldCredits", after(platform.hold))
    request = run_request(tool="image-to-image", inputs={"image": ASSET, "prompt": "p"})
    with pytest.raises(grpc.aio.AioRpcError):
        await process.stub.RunTool(request, metadata=KEY)
    assert platform.states() == ["pending"]
    del platform.ready[ASSET]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.RunTool(request, metadata=KEY)
    assert reason(refused.value) == "ASSET_NOT_FOUND"
    assert platform.states() == ["released"]
    assert await installation.rows() == []


async def test_while_the_platform_is_away_a_run_with_a_key_waits(
    process: Process, installation: Installation
) -> None:
    installation.platform.credits.answer("HoldCredits", BUSY)
    with pytest.raises(grpc.aio.AioRpcError):
        await process.stub.RunTool(run_request(), metadata=KEY)
    run = await process.stub.RunTool(run_request(), metadata=KEY)
    assert (run.state, run.credits_held) == ("queued", 2)
    assert len(await installation.rows()) == 1


async def test_while_inference_is_away_a_run_is_accepted_and_submitted_later(
    process: Process, installation: Installation
) -> None:
    inference = installation.inference
    inference.servicer.answer("SubmitJob", after(inference.submit))
    run = await process.stub.RunTool(run_request())
    assert (run.state, run.credits_held) == ("queued", 2)
    [row] = await installation.rows()
    assert (row.phase, row.job_id) == ("submitting", None)
    installation.clock.advance(seconds=10)
    assert await process.tools.reconciler.run_once() == 1
    [row] = await installation.rows()
    assert row.phase == "active"
    assert len(inference.jobs) == 1


async def test_a_job_that_is_refused_for_good_fails_the_run_and_frees_the_credits(
    process: Process, installation: Installation
) -> None:
    installation.inference.servicer.answer("SubmitJob", closed("MODEL_NOT_FOUND"))
    run = await process.stub.RunTool(run_request())
    assert (run.state, run.error.reason) == ("failed", "MODEL_NOT_FOUND")
    assert (run.credits_held, run.credits_charged) == (0, 0)
    await installation.check()
