"""What the scheduler sees of the queue, and what its claims do to the shares."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from inference.jobs.statements import PIN_PLANS, READY
from inference.scheduler.policy import decide
from inference.scheduler.snapshot import RegionDemand, Snapshot, Waiting
from inference.testing import REGION, Bench

FLOOD = (
    "INSERT INTO jobs.ready SELECT 'shapes', 0, 9000000000000000 + n, gen_random_uuid(), "
    "'{tenant}', 0, 0, '', NULL FROM generate_series(1, {count}) AS n"
)


async def test_a_burst_of_one_tenant_hides_nobody(jobs: Bench) -> None:
    await jobs.run(FLOOD.format(tenant="burst", count=500))
    other = await jobs.submit("other", tenant_id="org_2", band=0)
    waiting = await jobs.waiting("shapes", room=2)
    assert other in [job.job_id for job in waiting.ready]
    assert len(waiting.ready) <= 12
    await jobs.run("TRUNCATE jobs.ready CASCADE")
    await jobs.run("TRUNCATE jobs.job CASCADE")


async def test_more_tenants_than_are_looked_at_hide_no_late_job(jobs: Bench) -> None:
    await jobs.run(
        "INSERT INTO jobs.ready SELECT 'shapes', 0, 9000000000000000, gen_random_uuid(), "
        "'t' || n, 0, 0, '', NULL FROM generate_series(1, 1200) AS n"
    )
    late = await jobs.submit("late", band=2)
    waiting = await jobs.waiting("shapes", room=1)
    assert late in [job.job_id for job in waiting.ready]
    await jobs.run("TRUNCATE jobs.ready CASCADE")
    await jobs.run("TRUNCATE jobs.job CASCADE")


async def test_a_job_is_shown_with_all_that_decides_on_it(jobs: Bench) -> None:
    deadline = datetime.now(UTC) + timedelta(minutes=1)  # noqa: TID251
    await jobs.submit(
        "k",
        weight=2.0,
        count=2,
        inputs={"prompt": "a", "steps": 10.0},
        regions=("us-west", "eu-west"),
        start_deadline=deadline,
    )
    [job] = (await jobs.waiting("shapes")).ready
    assert (job.weight, job.cost_seconds) == (2.0, 2.0)
    assert job.regions == {"eu-west", "us-west"}
    # Due at its deadline, which is sooner than its band's patience.
    assert abs(job.order - deadline.timestamp() * 1e6) < 1


async def test_a_claim_charges_the_tenant(jobs: Bench) -> None:
    for n in range(3):
        await jobs.submit(f"k{n}", inputs={"prompt": "a", "steps": 30.0}, weight=2.0)

    def choose(waiting: Waiting) -> list:
        offer = RegionDemand(1, REGION, "a", 1, frozenset({"shapes"}))
        now = datetime.now(UTC)  # noqa: TID251 - far from every deadline
        return decide(Snapshot(waiting.ready, (offer,), waiting.regions, waiting.shares), now)

    for _ in range(2):
        await jobs.part.leases.place(["shapes"], {REGION}, room=1, choose=choose)
    waiting = await jobs.waiting("shapes")
    assert waiting.shares.clocks == {(1, "org_1"): 3.0}
    assert waiting.shares.floors == {1: 1.5}
    load = waiting.regions[REGION]
    assert (load.is_open, load.backlog_seconds, load.running) == (True, 6.0, 0)
    [reason] = {
        row.detail
        for row in await jobs.rows(
            "SELECT detail FROM jobs.job_event WHERE event = 'grant' ORDER BY id LIMIT 1"
        )
    }
    assert reason == "least served of band 1 at 0.0 s; us-east is cold, wait 0.0 s, price 1"


async def test_clocks_that_say_nothing_more_are_forgotten(jobs: Bench) -> None:
    await jobs.run(
        "INSERT INTO jobs.share_clock VALUES (1, '', 100), (1, 'idle', 89), (1, 'busy', 95), "
        "(-1, '', 3)"
    )
    await jobs.part.upkeep.look()
    rows = await jobs.rows("SELECT tenant_id FROM jobs.share_clock ORDER BY band, tenant_id")
    assert [row.tenant_id for row in rows] == ["", "", "busy"]


async def test_looking_at_the_queue_never_reads_all_of_it(jobs: Bench) -> None:
    await jobs.run(FLOOD.format(tenant="burst", count=20_000))
    await jobs.run("ANALYZE jobs.ready")
    async with jobs.database.sessions.begin() as session:
        await session.execute(text(PIN_PLANS))
        values = {"models": ["shapes", "film"], "room": 8, "lanes_max": 1000, "each_min": 4}
        plan = (
            await session.execute(
                text("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + READY), values
            )
        ).scalar_one()
    nodes = list(_nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    reads = [node for node in nodes if node.get("Relation Name") == "ready"]
    assert reads
    assert {node["Node Type"] for node in reads} <= {"Index Scan", "Index Only Scan"}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in reads) < 100
    await jobs.run("TRUNCATE jobs.ready")


def _nodes(plan: dict):
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
