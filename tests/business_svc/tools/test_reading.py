"""GetRun and ListRuns: whose runs they are, how fresh, and page by page."""

from __future__ import annotations

import uuid
from dataclasses import replace

import grpc
import pytest
from reelmesh.business.tools.v1 import tools_service_pb2 as pb
from reelmesh.business.tools.v1 import tools_service_pb2_grpc as pb_grpc

from meshkit.ids import format_id
from meshkit.pages import encode_page_token
from meshkit.testing.identity import USER

from .fakes import BUSY
from .harness import Installation, Process, reason, run_request

STRANGER = replace(USER, organization_id=uuid.UUID(int=9))


async def get(process: Process, run_id: str) -> pb.Run:
    return await process.stub.GetRun(pb.GetRunRequest(run_id=run_id))


async def test_an_active_run_shows_the_progress_of_its_job(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    await installation.inference.start(run.run_id, step=10, steps=40)
    run = await get(process, run.run_id)
    assert (run.state, run.step, run.steps, run.progress) == ("running", 10, 40, 0.25)
    assert (run.region, run.attempt) == ("us-east", 1)


async def test_a_run_can_be_read_while_inference_is_away(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    installation.inference.servicer.answer("GetJob", BUSY)
    assert (await get(process, run.run_id)).state == "queued"


async def test_a_run_is_not_shown_as_ended_before_it_is_settled(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    await installation.inference.start(run.run_id)
    await installation.inference.finish(run.run_id)
    shown = await get(process, run.run_id)
    assert (shown.credits_held, len(shown.outputs)) == (2, 0)
    assert shown.state in {"queued", "running"}


async def test_without_the_platform_a_finished_run_asks_for_another_try(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    await process.hear(await installation.inference.finish(run.run_id))
    await process.tools.reconciler.run_once()
    installation.platform.assets.always("PresignDownloads", BUSY)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await get(process, run.run_id)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_picture_that_was_deleted_has_no_url(
    process: Process, installation: Installation
) -> None:
    run = await process.stub.RunTool(run_request())
    await process.hear(await installation.inference.finish(run.run_id))
    await process.tools.reconciler.run_once()
    installation.platform.ready.clear()
    [output] = (await get(process, run.run_id)).outputs
    assert (output.url, output.asset_id[:4]) == ("", "ast_")


@pytest.mark.parametrize("method", ["GetRun", "CancelRun", "WatchRun"])
async def test_runs_of_others_do_not_exist(
    process: Process, installation: Installation, method: str
) -> None:
    run = await process.stub.RunTool(run_request())
    request = getattr(pb, f"{method}Request")(run_id=run.run_id)
    async with process.mesh.as_user(pb_grpc.ToolsServiceStub, STRANGER) as stub:
        call = getattr(stub, method)(request)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await (call.read() if method == "WatchRun" else call)
        assert (await stub.ListRuns(pb.ListRunsRequest())).runs == []
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason(refused.value) == "RUN_NOT_FOUND"
    assert not (await installation.rows())[0].cancel_requested


@pytest.mark.parametrize(
    ("run_id", "why"),
    [
        (format_id("run", uuid.UUID(int=1)), "RUN_NOT_FOUND"),
        (format_id("job", uuid.UUID(int=1)), "INVALID_ID"),
        ("run_1", "INVALID_ID"),
        ("x" * 10_000, "INVALID_ID"),
    ],
)
async def test_an_unknown_run_is_refused(process: Process, run_id: str, why: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await get(process, run_id)
    assert reason(refused.value) == why


async def test_an_intent_is_not_a_run_yet(process: Process, installation: Installation) -> None:
    installation.platform.credits.answer("HoldCredits", BUSY)
    with pytest.raises(grpc.aio.AioRpcError):
        await process.stub.RunTool(run_request(request_id="k"))
    [row] = await installation.rows()
    request = {"run_id": format_id("run", row.id)}
    for call in (
        process.stub.GetRun(pb.GetRunRequest(**request)),
        process.stub.CancelRun(pb.CancelRunRequest(**request)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert reason(refused.value) == "RUN_NOT_FOUND"
    assert (await process.stub.ListRuns(pb.ListRunsRequest())).runs == []


async def test_pages_give_every_run_once_newest_first(
    process: Process, installation: Installation
) -> None:
    made = []
    for index in range(5):
        # Pairs share a moment, so that the id has to decide.
        installation.clock.advance(seconds=index % 2)
        made.append((await process.stub.RunTool(run_request())).run_id)
    listed: list[str] = []
    token = ""
    for size in (2, 2, 1):
        page = await process.stub.ListRuns(pb.ListRunsRequest(page_size=size, page_token=token))
        assert len(page.runs) == size
        listed += [run.run_id for run in page.runs]
        token = page.next_page_token
    assert token == ""
    assert listed == made[::-1]


async def test_a_list_shows_progress_and_pictures(
    process: Process, installation: Installation
) -> None:
    done = await process.stub.RunTool(run_request())
    await process.hear(await installation.inference.finish(done.run_id))
    await process.tools.reconciler.run_once()
    active = await process.stub.RunTool(run_request())
    await installation.inference.start(active.run_id, step=5)
    newest, oldest = (await process.stub.ListRuns(pb.ListRunsRequest())).runs
    assert (newest.state, newest.step) == ("running", 5)
    assert oldest.outputs[0].url == f"http://store/{oldest.outputs[0].asset_id}"


@pytest.mark.parametrize(
    "token",
    [
        "garbage",
        encode_page_token(["assets", "2030-01-01T00:00:00+00:00", "00" * 16]),
        encode_page_token(["runs", "yesterday", "00" * 16]),
        encode_page_token(["runs", 1]),
    ],
)
async def test_a_token_of_another_list_is_refused(process: Process, token: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await process.stub.ListRuns(pb.ListRunsRequest(page_token=token))
    assert reason(refused.value) == "INVALID_PAGE_TOKEN"
