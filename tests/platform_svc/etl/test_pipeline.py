"""From the stream to the marts, on a real lake and against a real ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from reelmesh.business.tools.v1.tools_events_pb2 import RunFinished

from meshkit.clock import uuid7
from meshkit.ids import format_id
from platform_svc.etl.committer import AnotherCommitter, only_committer
from platform_svc.etl.reconciliation import NOT_IN_LEDGER, NOT_IN_MART, TOTALS_DIFFER
from platform_svc.etl.run import LOST_EVENTS

from .world import TOOL, World, rows_of


async def test_what_happened_is_in_the_marts_and_agrees_with_the_ledger(world: World) -> None:
    ada, ada_org = await world.sign_up()
    await world.sign_up()
    await world.open_tool(ada, ada_org)
    await world.use_tool(ada, ada_org, 30)
    await world.use_tool(ada, ada_org, 12)

    made = await world.load()

    assert made.offenders == {}
    funnel = {row["stage"]: row["users"] for row in rows_of(made, "funnel")}
    assert funnel == {"signed_up": 2, "opened_tool": 1, "ran": 1, "got_result": 1, "came_back": 0}
    [row] = rows_of(made, "unit_economics")
    assert (row["tool"], row["region"], row["runs"]) == (TOOL, "us-east", 2)
    assert (row["credits_charged"], row["revenue_micros"]) == (42, 420_000)
    # 8 seconds at 1.5 an hour.
    assert (row["device_ms"], row["cost_micros"]) == (8_000, 3_333)
    assert made.counts["mart_credits"] == made.counts["ledger_credits"] == 42


async def test_a_second_run_adds_what_is_new_and_nothing_else(world: World) -> None:
    user, org = await world.sign_up()
    await world.use_tool(user, org, 5)
    first = await world.load()
    again = await world.load()
    await world.use_tool(user, org, 7)
    third = await world.load()
    added = [
        (made.counts["bronze_rows"], made.counts["silver_rows"]) for made in (first, again, third)
    ]
    assert added == [(3, 3), (0, 0), (2, 2)]
    assert third.counts["mart_credits"] == 12
    assert third.offenders == {}


async def test_an_event_that_was_published_again_counts_once(world: World, own_nats) -> None:
    user, org = await world.sign_up()
    run_id = await world.capture(org, 9)
    event = RunFinished(run_id=run_id, user_id=user, tool=TOOL, state="succeeded")
    event.credits_charged = 9
    event_id = await world.publish("business.tools.run_finished", event)
    await world.load()
    # The server loses its stream, so it cannot know the event when the outbox sends it again.
    await world.bus.jetstream.delete_stream("REELMESH")
    await world.bus.ensure_stream()
    await world.publish("business.tools.run_finished", event, event_id)

    made = await world.load()

    assert (made.counts["bronze_rows"], made.counts["silver_rows"]) == (1, 0)
    assert world.bronze_offsets() == [1, 2, 3]
    assert Counter(one.event_id for one in world.silver())[event_id] == 1
    assert (made.counts["mart_credits"], made.offenders) == (9, {})


async def test_a_charge_that_the_ledger_does_not_know_is_shown(world: World) -> None:
    user, org = await world.sign_up()
    await world.use_tool(user, org, 5)
    forged = format_id("run", uuid7())
    await world.tell(user, org, forged, 4)
    made = await world.load()
    assert made.offenders == {
        NOT_IN_LEDGER: [forged],
        TOTALS_DIFFER: ["mart 9, ledger 5, of which pending 0"],
    }
    assert made.outcome.failure == "CHECK_FAILED"


async def test_a_capture_whose_run_never_came_is_shown(world: World) -> None:
    user, org = await world.sign_up()
    await world.use_tool(user, org, 5)
    missing = await world.capture(org, 6)
    patient = replace(world.loader, marts=replace(world.loader.marts, grace=timedelta(hours=1)))
    waiting = await world.load(patient)
    assert waiting.offenders == {}
    assert waiting.counts["pending_credits"] == 6
    made = await world.load()
    assert made.offenders[NOT_IN_MART] == [missing]


async def test_events_that_the_stream_dropped_are_missed_once(world: World) -> None:
    await world.sign_up()
    await world.load()
    for _ in range(3):
        await world.sign_up()
    await world.bus.jetstream.purge_stream("REELMESH", seq=4)  # Keeps the last one.
    made = await world.load()
    assert made.offenders == {LOST_EVENTS: ["2 events"]}
    assert (await world.load(known_lost=2)).offenders == {}  # A loss is told once.
    assert world.bronze_offsets() == [1, 4]


async def test_what_cannot_be_read_is_kept_and_counted(world: World) -> None:
    await world.publish("business.tools.run_finished", RunFinished(run_id="\N{SNOWMAN}"))
    await world.bus.publish("reelmesh.new.thing.happened", b"?", event_id=uuid7())
    await world.bus.publish("reelmesh.business.tools.run_finished", b"\xff\xff", event_id=uuid7())
    made = await world.load()
    assert made.counts["unreadable_events"] == 2
    assert [bool(event.problem) for event in world.silver()] == [False, True, True]


async def test_nobody_is_named_in_silver_and_who_left_is_erased(world: World) -> None:
    user, org = await world.sign_up()
    await world.use_tool(user, org, 5)
    await world.load()
    assert "Ada" not in str(world.silver())
    assert {event.user_id for event in world.silver()} == {user, ""}
    await world.delete(user, org)
    made = await world.load()
    assert user not in str(world.silver())
    assert (made.counts["mart_credits"], made.offenders) == (5, {})
    assert rows_of(await world.load(), "unit_economics") == rows_of(made, "unit_economics")


async def test_one_process_commits_while_its_connection_lives(world: World, database) -> None:
    ended = sa.text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    async with only_committer(world.database_url) as committer:
        await committer.confirm()
        with pytest.raises(AnotherCommitter):
            await world.load()
        async with database.sessions() as session:
            await session.execute(ended)
        with pytest.raises(Exception, match="database is away"):
            await committer.confirm()
