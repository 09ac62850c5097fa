"""The supervisor itself is killed: the next `up` stops what was left and goes on with the data."""

from __future__ import annotations

import asyncio
import os
import signal

import psutil
import pytest

from tests.journeys.mesh import Mesh, until


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
async def test_data_and_order_survive_a_kill_of_the_supervisor(mesh: Mesh) -> None:
    async with mesh.user() as client:
        before = await client.ledger()
        old = [one["pid"] for one in mesh.status()["processes"]]
        replicas = [one.pid for one in mesh.replicas()]

        os.kill(mesh.status()["supervisor_pid"], signal.SIGKILL)
        await until(lambda: mesh.reelmesh("status", check=False).returncode == 1)
        again = await asyncio.to_thread(mesh.up)
        assert again.returncode == 0, again.stderr

        assert not [pid for pid in old + replicas if lives(pid)]
        assert await client.ledger() == before
        run = await client.run("text-to-image", {"prompt": "a red circle", "steps": 4})
        assert (await client.finished(run["run_id"]))["state"] == "succeeded"
    assert await mesh.offenders() == {}
