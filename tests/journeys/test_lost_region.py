"""A whole region dies in the middle of a batch, and the other one finishes its runs."""

from __future__ import annotations

import asyncio

import pytest

from deploy.account import sign_in_as_operator
from deploy.client import ReelmeshClient
from deploy.local.processes import marked
from tests.journeys.batches import RUNS, USERS, Batch
from tests.journeys.mesh import REGIONS, Mesh, until

BATCH_SECONDS_MAX = 240
STEPS = 30
LOST, LEFT = REGIONS


@pytest.mark.slow
async def test_the_other_region_finishes_what_a_lost_one_held(mesh: Mesh) -> None:
    await mesh.all_ready()
    async with mesh.users(USERS) as users, ReelmeshClient(mesh.gateway_url) as operator:
        await sign_in_as_operator(operator, mesh.layout)
        batch = Batch(users)
        async with asyncio.timeout(BATCH_SECONDS_MAX):
            await batch.start(steps=STEPS)
            # These followers are the clients, and see a stream of states without an error.
            following = asyncio.create_task(batch.finish())
            try:
                await until(lambda: batch.regions() == set(REGIONS), seconds=120)
                # Restarted by its supervisor, it would take its work up again itself.
                await operator.call("POST", f"/v1/ops/regions/{LOST}:cordon", {"note": "lost"})
                held = batch.running_in(LOST)
                # Its Ray cluster, its workers and its agent.
                for process in marked(f"{mesh.layout.key}/region-{LOST}-"):
                    process.kill()
                await following
            finally:
                following.cancel()
                await operator.call("POST", f"/v1/ops/regions/{LOST}:uncordon", {})

        assert len(batch.runs) == RUNS
        moved = [run_id for run_id in held if batch.runs[run_id]["region"] == LEFT]
        assert moved, f"nothing was running in {LOST} when it was killed"
        await batch.assert_all_is_well(mesh)
    await mesh.all_ready()
