"""Values of the tools service as messages."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from reelmesh.business.tools.v1 import tools_events_pb2 as events
from reelmesh.business.tools.v1 import tools_service_pb2 as pb

from business_svc.tools.catalog import Tool
from business_svc.tools.runs import Run, State, asset_ids
from meshkit.ids import format_id
from meshkit.notices import Notice
from meshkit.structs import struct_of
from meshkit.timestamps import timestamp

MILLISECONDS_PER_SECOND = 1000
INT32_MAX = 2**31 - 1
TITLES: Final = {
    State.SUCCEEDED: "is done",
    State.FAILED: "failed",
    State.CANCELED: "was canceled",
    State.EXPIRED: "expired before it started",
}


def tool_message(tool: Tool) -> pb.Tool:
    """Return a tool as callers see it."""
    return pb.Tool(
        tool=tool.name,
        version=tool.version,
        title=tool.title,
        description=tool.description,
        input_schema=struct_of(tool.input_schema),
        price=tool.price.words,
    )


def run_message(run: Run, urls: Mapping[str, str]) -> pb.Run:
    """Return a run as callers see it; `urls` has an address for each asset that still exists."""
    message = pb.Run(
        run_id=format_id("run", run.id),
        org_id=format_id("org", run.organization_id),
        tool=run.spec.tool,
        tool_version=run.spec.tool_version,
        state=run.state.value,
        progress=progress(run),
        step=run.progress.step,
        steps=run.progress.steps,
        inputs=struct_of(run.spec.inputs),
        count=run.spec.count,
        outputs=_outputs(run, urls),
        credits_held=run.held_credits,
        credits_charged=run.charged_credits,
        region=run.progress.region,
        attempt=run.progress.attempt,
        timings=_timings(run),
        created_at=timestamp(run.created_at),
        band=run.spec.band,
    )
    if run.settled and run.failure is not None:
        message.error.CopyFrom(pb.RunError(reason=run.failure.reason, message=run.failure.message))
    if run.progress.started_at is not None:
        message.started_at.CopyFrom(timestamp(run.progress.started_at))
    if run.finished_at is not None:
        message.finished_at.CopyFrom(timestamp(run.finished_at))
    return message


def run_finished(run: Run) -> events.RunFinished:
    """Return the event that tells of a run's end."""
    assert run.finished_at is not None, run.id
    return events.RunFinished(
        run_id=format_id("run", run.id),
        org_id=format_id("org", run.organization_id),
        user_id=format_id("usr", run.user_id),
        tool=run.spec.tool,
        tool_version=run.spec.tool_version,
        state=run.state.value,
        credits_charged=run.charged_credits,
        asset_ids=[_asset_name(asset) for asset in asset_ids(run)],
        error_reason=run.failure.reason if run.failure is not None else "",
        finished_at=timestamp(run.finished_at),
    )


def run_notice(run: Run) -> Notice:
    """Return what webhooks hear of a run's end, and its user too, unless they ended it."""
    finished = run_finished(run)
    return Notice(
        type=f"run.{run.state.value}",
        org_id=run.organization_id,
        title=f"Your run of {run.spec.tool} {TITLES[run.state]}",
        subject_id=finished.run_id,
        user_ids=() if run.state is State.CANCELED else (run.user_id,),
        data={
            "run_id": finished.run_id,
            "org_id": finished.org_id,
            "user_id": finished.user_id,
            "tool": finished.tool,
            "tool_version": finished.tool_version,
            "state": finished.state,
            "credits_charged": finished.credits_charged,
            "asset_ids": list(finished.asset_ids),
            "error_reason": finished.error_reason,
        },
    )


def progress(run: Run) -> float:
    """Return how much of a run is done, from 0 to 1; only one that succeeded is at 1."""
    if run.state is State.SUCCEEDED:
        return 1.0
    if run.progress.steps <= 0:
        return 0.0
    return min(run.progress.step / run.progress.steps, 1.0)


def _outputs(run: Run, urls: Mapping[str, str]) -> list[pb.RunOutput]:
    return [
        pb.RunOutput(
            asset_id=_asset_name(asset),
            url=urls.get(_asset_name(asset), ""),
            content_type=output.content_type,
            width=output.width,
            height=output.height,
            seed=output.seed,
        )
        for asset, output in zip(asset_ids(run), run.outputs, strict=False)
    ]


def _timings(run: Run) -> pb.RunTimings:
    total_ms = 0
    if run.finished_at is not None:
        seconds = (run.finished_at - run.created_at).total_seconds()
        total_ms = min(max(0, round(seconds * MILLISECONDS_PER_SECOND)), INT32_MAX)
    return pb.RunTimings(
        queue_ms=run.progress.queue_ms,
        run_ms=run.progress.run_ms,
        upload_ms=run.progress.upload_ms,
        total_ms=total_ms,
    )


def _asset_name(asset: uuid.UUID) -> str:
    return format_id("ast", asset)
