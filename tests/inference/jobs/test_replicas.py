"""Reports of replicas are answered by a plan for every region, on a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from inference.connectors.protocol import ReplicaReport
from inference.jobs.region_store import RegionState
from inference.scheduler.planner import PlannerSettings
from inference.testing import REGION, Bench
from meshkit.testing.identity import USER


def report(region: str = REGION, running: int = 0, maximum: int = 4) -> ReplicaReport:
    return ReplicaReport(region, "shapes", running, 0, maximum, run_seconds=5.0)


async def target(jobs: Bench, asked: ReplicaReport) -> int:
    return (await jobs.part.replicas.report(asked)).replicas


async def test_a_region_without_replicas_gets_one_when_something_waits(jobs: Bench) -> None:
    assert await target(jobs, report()) == 0
    await jobs.submit()
    answer = await jobs.part.replicas.report(report())
    assert answer.replicas == 1
    assert answer.reason.startswith("1 wait, 0 run, 5.0 s each")
    [decision] = await jobs.part.replicas.decisions(10)
    assert (decision.region, decision.before, decision.after) == (REGION, 0, 1)
    assert decision.reason == answer.reason
    [shown] = await jobs.part.replicas.reported()
    assert (shown.running, shown.target) == (0, 1)


async def test_regions_share_what_is_wanted_and_silent_ones_do_not_count(jobs: Bench) -> None:
    for n in range(12):
        await jobs.submit(str(n))
    await jobs.part.replicas.report(report("eu-west"))
    assert await target(jobs, report()) == 2  # 60 s of work in 10 s are 6, 4 of them there.
    await jobs.run("UPDATE jobs.replicas SET reported_at = now() - interval '16 s'")
    assert await target(jobs, report()) == 4


async def test_leases_count_where_they_are(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.run("UPDATE jobs.lease SET started_at = clock_timestamp()")
    answer = await jobs.part.replicas.report(report(running=1))
    assert answer.reason.startswith("0 wait, 1 run")
    await jobs.part.regions.set_state(REGION, RegionState.CORDONED, USER, note="")
    answer = await jobs.part.replicas.report(report(running=1))
    assert (answer.replicas, "the region is closed" in answer.reason) == (1, True)
    assert lease.key.fence == 1


async def test_reports_at_once_decide_once(jobs: Bench) -> None:
    for n in range(12):
        await jobs.submit(str(n))
    regions = ("a", "b", "c")
    planner = replace(jobs.part.replicas, settings=PlannerSettings(keep_seconds=0))
    await asyncio.gather(*(planner.report(report(region)) for region in regions * 5))
    answers = [(await planner.report(report(region))).replicas for region in regions]
    assert sum(answers) == 6
    decided = await jobs.part.replicas.decisions(100)
    totals = dict.fromkeys(regions, 0)
    for one in reversed(decided):
        assert totals[one.region] == one.before
        totals[one.region] = one.after
    assert list(totals.values()) == answers
