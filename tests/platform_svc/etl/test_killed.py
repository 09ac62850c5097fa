"""A loader that is killed at any moment is continued, and each event counts once."""

from __future__ import annotations

import asyncio
import json
import signal

from platform_svc.etl.run import State
from platform_svc.etl.store import EtlStore

from .world import World

COMMITTED = "a table was committed"
LINE_SECONDS_MAX = 120
BATCH = {"REELMESH_ETL_BATCH": "8"}


async def killed_at(world: World, table: str, commits: int = 1) -> None:
    """Start a loader and kill it as soon as it has committed to the table so often."""
    process = await world.start_loader(**BATCH)
    assert process.stderr is not None
    async with asyncio.timeout(LINE_SECONDS_MAX):
        while commits:
            line = json.loads(await process.stderr.readline())
            commits -= line["message"] == COMMITTED and line["table"] == table
    process.kill()
    await process.communicate()
    assert process.returncode == -signal.SIGKILL


async def test_a_loader_that_is_killed_again_and_again_counts_each_event_once(
    world: World, database
) -> None:
    charged = 0
    user, org = await world.sign_up()
    for number in range(1, 11):
        await world.use_tool(user, org, number)
        await world.open_tool(user, org)
        charged += number
    assert len(world.published) == 31  # Four commits of bronze, as many of silver, then gold.

    await killed_at(world, "bronze.events", 2)
    assert 16 <= len(world.bronze_offsets()) < 31
    await killed_at(world, "silver.events")
    assert 8 <= len(world.silver()) < 31

    last = await world.start_loader(**BATCH)
    _, log = await asyncio.wait_for(last.communicate(), LINE_SECONDS_MAX)
    assert last.returncode == 0, log.decode()

    assert world.bronze_offsets() == list(range(1, 32))
    assert [event.event_id for event in world.silver()] == world.published
    async with database.sessions() as session:
        store = EtlStore(session)
        runs = await store.page(after=None, count=10)
        mart = await store.publication("unit_economics")
    assert [run.state for run in runs] == [State.SUCCEEDED, *[State.RUNNING] * 2]
    assert runs[0].outcome.counts["mart_credits"] == charged
    assert mart is not None
    assert [row["runs"] for row in mart.content["rows"]] == [10]
    assert world.s3.secret_key not in log.decode()
