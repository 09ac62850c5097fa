"""EtlService through a real server, and the runner that makes its runs in real processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from reelmesh.platform.etl.v1 import etl_service_pb2 as pb
from reelmesh.platform.etl.v1.etl_service_pb2_grpc import EtlServiceStub

from meshkit.ids import format_id
from meshkit.postgres import Database
from meshkit.testing.clock import ManualClock
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from platform_svc.etl.commands import EtlCommands
from platform_svc.etl.committer import only_committer
from platform_svc.etl.jobs import RUNS_KEPT_FOR, STALE, Runner, invariant_check
from platform_svc.etl.queries import EtlQueries
from platform_svc.etl.reconciliation import NOT_IN_LEDGER
from platform_svc.etl.run import Failure, Outcome, State
from platform_svc.etl.store import EtlStore
from platform_svc.etl.wiring import service
from tests.platform_svc.refusals import refusal_of

from .world import World

OPERATOR = replace(USER, is_operator=True)
ASK = pb.RunEtlRequest()
RUN_SECONDS_MAX = 120
HOUR = timedelta(hours=1)


@pytest.fixture
def commands(database: Database, clock: ManualClock) -> EtlCommands:
    return EtlCommands(database.sessions, clock.ambient)


@pytest.fixture
def queries(database: Database) -> EtlQueries:
    return EtlQueries(database.sessions)


@pytest.fixture
async def mesh(commands, queries, identity: TestIdentity) -> AsyncIterator[ServedMesh]:
    async with serve(service(commands, queries), identity=identity) as mesh:
        yield mesh


@pytest.fixture
async def operator(mesh: ServedMesh) -> AsyncIterator[EtlServiceStub]:
    async with mesh.as_user(EtlServiceStub, OPERATOR) as stub:
        yield stub


async def finish(commands, run_id, failure=None, offenders=None) -> None:
    async with commands.sessions.begin() as session:
        outcome = Outcome({}, offenders or {})
        assert await EtlStore(session).finish(run_id, outcome, failure, commands.ambient.now())


async def test_a_run_that_was_asked_for_is_made(operator, commands, world: World) -> None:
    user, org = await world.sign_up()
    await world.use_tool(user, org, 7)
    asked = await operator.RunEtl(ASK)
    assert (asked.state, asked.asked_by) == ("waiting", format_id("usr", USER.user_id))

    made = await asyncio.wait_for(
        Runner(commands, HOUR, world.environment()).make_all(), RUN_SECONDS_MAX
    )

    assert made == 1
    run = await operator.GetEtlRun(pb.GetEtlRunRequest(etl_run_id=asked.etl_run_id))
    assert (run.state, run.failure, list(run.offenders)) == ("succeeded", "", [])
    assert run.counts["silver_rows"] == 3
    async with commands.sessions() as session:
        assert await EtlStore(session).newest_count("silver_rows") == 3
        assert await EtlStore(session).newest_count("something else") == 0
    mart = await operator.GetMart(pb.GetMartRequest(mart="unit_economics"))
    assert mart.etl_run_id == asked.etl_run_id
    assert [row["credits_charged"] for row in mart.rows] == [7]
    report = await operator.GetEtlReport(pb.GetEtlReportRequest())
    assert report.html.startswith("<!doctype html>")


async def test_a_run_that_finds_the_lake_taken_says_so(operator, commands, world) -> None:
    asked = await operator.RunEtl(ASK)
    async with only_committer(world.database_url):
        await Runner(commands, HOUR, world.environment()).make_all()
    run = await operator.GetEtlRun(pb.GetEtlRunRequest(etl_run_id=asked.etl_run_id))
    assert (run.state, run.failure) == ("failed", "BUSY")


async def test_one_run_waits_and_one_runs(operator, commands) -> None:
    asked = [await operator.RunEtl(ASK) for _ in range(3)]
    assert len({run.etl_run_id for run in asked}) == 1
    claims = await asyncio.gather(*(commands.claim() for _ in range(5)))
    [first] = [run for run in claims if run is not None]
    again = await operator.RunEtl(ASK)
    assert again.etl_run_id != asked[0].etl_run_id
    assert await commands.claim() is None
    await finish(commands, first.id)
    second = await commands.claim()
    assert second is not None
    assert format_id("etl", second.id) == again.etl_run_id


async def test_a_run_whose_process_is_gone_holds_nobody_up(
    commands, queries, clock, etl_url
) -> None:
    await commands.ask("a")
    lost = await commands.claim()
    await commands.ask("b")
    assert await commands.claim() is None  # It may be about to take the lock.
    clock.advance(seconds=61)
    async with only_committer(etl_url):
        assert await commands.claim() is None  # It holds the lock.
    taken = await commands.claim()
    assert taken is not None
    assert (await queries.run(lost.id)).failure == Failure.LOST
    assert not await commands.give_up(lost, Failure.KILLED)


async def test_runs_are_listed_newest_first(operator, commands, clock) -> None:
    for _ in range(3):
        run = await commands.ask("x")
        assert (await commands.claim()) is not None
        await finish(commands, run.id)
        clock.advance(seconds=1)
    first = await operator.ListEtlRuns(pb.ListEtlRunsRequest(page_size=2))
    rest = await operator.ListEtlRuns(
        pb.ListEtlRunsRequest(page_size=2, page_token=first.next_page_token)
    )
    times = [run.asked_at.ToDatetime() for run in [*first.runs, *rest.runs]]
    assert times == sorted(times, reverse=True)
    assert (len(times), rest.next_page_token) == (3, "")
    clock.advance(seconds=RUNS_KEPT_FOR.total_seconds())
    async with commands.sessions.begin() as session:
        assert await EtlStore(session).sweep(clock.now() - RUNS_KEPT_FOR) == 3


async def test_what_is_not_there_is_refused(operator, mesh) -> None:
    nobody = pb.GetEtlRunRequest(etl_run_id=format_id("etl", USER.user_id))
    assert (await refusal_of(operator.GetEtlRun(nobody))).reason == "ETL_RUN_NOT_FOUND"
    mart = pb.GetMartRequest(mart="funnel")
    assert (await refusal_of(operator.GetMart(mart))).reason == "MART_NOT_MADE"
    unknown = await refusal_of(operator.GetMart(pb.GetMartRequest(mart="secrets")))
    assert unknown.code is grpc.StatusCode.INVALID_ARGUMENT
    async with mesh.as_user(EtlServiceStub) as user:
        refused = await refusal_of(user.RunEtl(ASK))
    assert refused.reason == "CALLER_NOT_ALLOWED"


async def test_what_the_newest_run_found_is_shown_until_one_is_well(
    commands, queries, clock
) -> None:
    check = invariant_check(commands, queries, HOUR)
    assert await check.check() == {}
    clock.advance(seconds=25 * 3600)
    assert list(await check.check()) == [STALE]
    for offenders in ({NOT_IN_LEDGER: ["run_1"]}, {}):
        run = await commands.ask("x")
        assert (await commands.claim()) is not None
        await finish(commands, run.id, Failure.CHECK_FAILED if offenders else None, offenders)
        assert await check.check() == offenders
        clock.advance(seconds=1)


async def test_runs_are_made_by_schedule(commands, queries, clock) -> None:
    # The process has no settings and fails at once: here it only matters that there is one.
    runner = Runner(commands, timedelta(0), environment={})
    loop = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            while (run := await queries.newest_finished()) is None:  # noqa: ASYNC110 - in the database
                await asyncio.sleep(0.05)
    finally:
        loop.cancel()
    assert (run.asked_by, run.state, run.failure) == ("schedule", State.FAILED, "ERROR")
