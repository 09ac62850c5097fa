"""A region works through its connector to the end, also when its process dies in the middle."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from inference.connectors.messages import job_text
from inference.testing import INPUTS, Bench
from meshkit.object_store import S3ObjectStore, S3Settings
from tests.conformance.wires import Wire

JOBS = 4
PATIENCE_SECONDS = 240


async def rows_when(jobs: Bench, query: str, count: int) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(rows := await jobs.rows(query)) < count:  # noqa: ASYNC110 - only it knows.
            await asyncio.sleep(0.05)
    return rows


async def test_a_killed_region_is_followed_by_the_next_and_every_picture_is_there_once(
    wire: Wire, jobs: Bench, objects: S3ObjectStore, s3_settings: S3Settings, tmp_path: Path
) -> None:
    if wire.name == "direct":
        pytest.skip("without a wire there is no process that could die alone")
    settings = {
        "REELMESH_S3_ENDPOINT": s3_settings.endpoint,
        "REELMESH_S3_BUCKET": s3_settings.bucket,
        "REELMESH_S3_ACCESS_KEY_FILE": str(tmp_path / "access"),
        "REELMESH_S3_SECRET_KEY_FILE": str(tmp_path / "secret"),
    }
    (tmp_path / "access").write_text(s3_settings.access_key)
    (tmp_path / "secret").write_text(s3_settings.secret_key)
    for number in range(JOBS):
        await jobs.submit(str(number), inputs=INPUTS | {"steps": 8.0})
    first = await wire.start_region(**settings, REELMESH_STEP_SECONDS_MIN="30")
    try:
        [begun, *_] = await rows_when(
            jobs, "SELECT job_id FROM jobs.lease WHERE started_at IS NOT NULL", 1
        )
    finally:
        first.kill()
        await first.wait()
    await jobs.pass_lease_time()
    await jobs.part.upkeep.look()
    second = await wire.start_region(**settings)
    try:
        outcomes = await rows_when(
            jobs, "SELECT job_id, fence, state, outputs FROM jobs.outcome", JOBS
        )
    finally:
        second.kill()
        await second.wait()
    assert {row.state for row in outcomes} == {"succeeded"}
    assert {row.fence for row in outcomes if row.job_id == begun.job_id} == {2}
    for row in outcomes:
        [output] = row.outputs
        stored = [info.key async for info in objects.list(f"results/{job_text(row.job_id)}/")]
        assert stored == [output["object_key"]]
        data = await objects.get(output["object_key"], max_bytes=1 << 20)
        assert hashlib.sha256(data).hexdigest() == output["sha256"]
