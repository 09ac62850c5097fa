"""A real region: Ray Serve replicas, cancels, and deaths in the middle of the work."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb

from meshkit.object_store import S3ObjectStore

pytestmark = pytest.mark.slow

TERMINAL = {"succeeded", "failed", "canceled", "expired"}


async def until(business: Any, job_id: str, wanted: Callable[[pb.Job], bool]) -> pb.Job:
    """Watch a job until it is as wanted."""
    request = pb.WatchJobRequest(job_id=job_id)
    async with asyncio.timeout(120):
        # A scheduler that a test has just started again may not listen yet.
        async for job in business.WatchJob(request, wait_for_ready=True):
            if wanted(job):
                return job
    raise AssertionError(f"the job ended otherwise: {job}")


async def ended(business: Any, job_id: str) -> pb.Job:
    return await until(business, job_id, lambda job: job.state in TERMINAL)


async def test_the_first_job_brings_the_first_replica_which_draws_uploads_and_tells(
    region: Any, business: Any, objects: S3ObjectStore, submit: Any
) -> None:
    assert region.replica_pids() == []
    job = await ended(business, await submit("plain", steps=4, count=3))
    assert (job.state, job.attempt, job.region) == ("succeeded", 1, "us-east")
    assert (job.step, job.steps) == (12, 12)
    assert [output.seed for output in job.outputs] == [7, 8, 9]
    for number, output in enumerate(job.outputs):
        assert output.object_key == f"results/{job.job_id}/1/{number}.png"
        data = await objects.get(output.object_key, max_bytes=1 << 20)
        assert hashlib.sha256(data).hexdigest() == output.sha256
        assert len(data) == output.size_bytes
    assert job.timings.run_ms >= 12 * 50


async def test_a_running_job_stops_within_two_steps_of_its_cancel(
    business: Any, objects: S3ObjectStore, submit: Any
) -> None:
    job_id = await submit("cancel", steps=140)
    await until(business, job_id, lambda job: job.step >= 3)
    flagged = await business.CancelJob(pb.CancelJobRequest(job_id=job_id))
    job = await ended(business, job_id)
    assert job.state == "canceled"
    # The steps that the replica really ran, as it said itself at the end.
    assert flagged.step <= job.step <= flagged.step + 2
    assert [info async for info in objects.list(f"results/{job_id}/")] == []


async def test_bad_input_fails_without_another_attempt(business: Any, submit: Any) -> None:
    job = await ended(business, await submit("bad", steps=100_000))
    assert (job.state, job.error.reason, job.attempt) == ("failed", "STEPS_OUT_OF_RANGE", 1)


async def test_a_killed_replica_costs_one_attempt_and_nothing_else(
    region: Any, business: Any, objects: S3ObjectStore, submit: Any
) -> None:
    job_id = await submit("killed", steps=60)
    await until(business, job_id, lambda job: job.step >= 5)
    [pid] = region.replica_pids()
    os.kill(pid, signal.SIGKILL)
    job = await ended(business, job_id)
    assert (job.state, job.attempt) == ("succeeded", 2)
    keys = [info.key async for info in objects.list(f"results/{job_id}/")]
    assert keys == [f"results/{job_id}/2/0.png"]


async def test_a_killed_scheduler_loses_nothing(region: Any, business: Any, submit: Any) -> None:
    job_id = await submit("headless", steps=60)
    await until(business, job_id, lambda job: job.step >= 5)
    region.kill("scheduler")
    region.start_scheduler()
    await region.until_open()
    job = await ended(business, job_id)
    assert (job.state, job.attempt) == ("succeeded", 1)


async def test_a_killed_agent_does_not_disturb_a_running_job(
    region: Any, business: Any, submit: Any
) -> None:
    pids = region.replica_pids()
    job_id = await submit("orphan", steps=100)
    await until(business, job_id, lambda job: job.step >= 5)
    region.kill("agent")
    region.start_agent()
    job = await ended(business, job_id)
    assert (job.state, job.attempt) == ("succeeded", 1)
    await region.until_open()
    assert region.replica_pids() == pids
    assert (await ended(business, await submit("after", steps=2))).state == "succeeded"


async def test_a_crowd_brings_a_second_replica_and_all_succeed(
    region: Any, business: Any, submit: Any
) -> None:
    ids = await asyncio.gather(*(submit(f"crowd-{n}", steps=20) for n in range(20)))
    jobs = await asyncio.gather(*(ended(business, job_id) for job_id in ids))
    assert {job.state for job in jobs} == {"succeeded"}
    assert len(region.replica_pids()) == 2


async def test_replicas_leave_when_nothing_waits_and_come_back_for_the_next_job(
    region: Any, business: Any, submit: Any
) -> None:
    region.kill("scheduler")
    region.start_scheduler(REELMESH_REPLICAS_KEEP_SECONDS="1")
    await region.until_open()
    async with asyncio.timeout(60):
        while region.replica_pids():  # noqa: ASYNC110 - other processes set no events here
            await asyncio.sleep(0.1)
    assert (await ended(business, await submit("awake", steps=2))).state == "succeeded"
