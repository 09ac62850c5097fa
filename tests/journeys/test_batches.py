"""Twenty runs by five users at once: on a quiet platform, and while something is killed."""

from __future__ import annotations

import asyncio
import os
import signal

import psutil
import pytest

from tests.journeys.batches import RUNS, USERS, Batch
from tests.journeys.mesh import Mesh, until

BATCH_SECONDS_MAX = 240
STEPS = 8


async def test_twenty_runs_by_five_users_succeed_and_the_credits_add_up(mesh: Mesh) -> None:
    async with mesh.users(USERS) as users:
        batch = Batch(users)
        async with asyncio.timeout(BATCH_SECONDS_MAX):
            await batch.start(steps=STEPS)
            await batch.finish()

        assert len(batch.runs) == RUNS
        await batch.assert_all_is_well(mesh)


@pytest.mark.slow
@pytest.mark.parametrize(
    "victim",
    [
        *("replica", "region-us-east-agent", "scheduler", "business", "platform"),
        *("postgres", "nats", "seaweedfs", "edge", "region-us-east-head"),
    ],
)
async def test_a_kill_in_the_middle_of_a_batch_loses_nothing(mesh: Mesh, victim: str) -> None:
    await mesh.all_ready()
    async with mesh.users(USERS) as users:
        batch = Batch(users)
        async with asyncio.timeout(BATCH_SECONDS_MAX):
            await batch.start(steps=STEPS)
            following = asyncio.create_task(batch.finish())
            try:
                await until(lambda: batch.count("succeeded") >= 3, seconds=120)
                kill(mesh, victim)
                assert batch.count("succeeded") <= RUNS - 3
                await following
            finally:
                following.cancel()

        assert len(batch.runs) == RUNS
        await batch.assert_all_is_well(mesh)
    await mesh.all_ready()


def kill(mesh: Mesh, victim: str) -> None:
    if victim == "replica":
        replicas = mesh.replicas()
        assert replicas
        for replica in replicas:
            replica.kill()
    else:
        pid = mesh.process(victim)["pid"]
        assert psutil.pid_exists(pid)
        os.kill(pid, signal.SIGKILL)
