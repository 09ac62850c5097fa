"""The tools schema: its migrations, its constraints, and the facts that are checked over it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from business_svc.tools import runs
from business_svc.tools.invariants import offenders
from business_svc.tools.runs import Run, State
from business_svc.tools.store import RunStore
from business_svc.tools.tables import Base, RunRow
from business_svc.tools.wiring import MIGRATIONS
from meshkit.clock import uuid7
from meshkit.migrations import downgrade, drift, upgrade
from meshkit.postgres import Database

from .factories import NOW, job, run

HOURS = timedelta(hours=6)


async def test_tables_and_migrations_agree_both_ways(database: Database) -> None:
    assert await drift(database.url, Base.metadata) == []
    await downgrade(database.url, "tools", MIGRATIONS, "base")
    await upgrade(database.url, "tools", MIGRATIONS)
    assert await drift(database.url, Base.metadata) == []


def settled() -> Run:
    held = runs.held(run(id=uuid7()), image_key="assets/x")
    ended = runs.ended(runs.submitted(held, job()), job(State.SUCCEEDED, outputs=2))
    return runs.settled(runs.decided(ended, State.SUCCEEDED), NOW)


async def insert(database: Database, *added: Run) -> None:
    async with database.sessions.begin() as session:
        for one in added:
            RunStore(session).add(one, now=NOW)


async def test_runs_come_back_as_they_were(database: Database) -> None:
    failed = runs.settled(
        runs.ended(runs.held(run(id=uuid7()), image_key=None), job(State.FAILED)), NOW
    )
    for one in (run(id=uuid7(), idempotency_key="k"), settled(), failed):
        await insert(database, one)
        async with database.sessions() as session:
            assert await RunStore(session).find(one.id) == one


async def test_a_due_run_is_taken_by_one_only(database: Database) -> None:
    made = [run(id=uuid7()) for _ in range(20)]
    await insert(database, *made)
    later = NOW + timedelta(seconds=5)

    async def take() -> list[Any]:
        async with database.sessions.begin() as session:
            return list(await RunStore(session).take_due(now=later, limit=7))

    taken = [run_id for ids in await asyncio.gather(*(take() for _ in range(6))) for run_id in ids]
    assert sorted(taken) == sorted(one.id for one in made)
    assert await take() == []


@pytest.mark.parametrize(
    "change",
    [
        {"finished_at": None},
        {"state": "running"},
        {"due_at": NOW},
        {"held_credits": 1},
        {"state": "failed"},
        {"charged_credits": -1},
    ],
)
async def test_the_database_refuses_what_must_not_be(
    database: Database, change: dict[str, Any]
) -> None:
    await insert(database, settled())
    with pytest.raises(IntegrityError):
        async with database.sessions.begin() as session:
            await session.execute(update(RunRow).values(**change))


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"charged_credits": 5}, "a success is charged for what was made"),
        ({"charged_credits": 0, "outputs": []}, "a success is charged for what was made"),
        ({"state": "failed", "charged_credits": 0}, "a failure says why"),
        (
            {
                "phase": "active",
                "state": "running",
                "finished_at": None,
                "due_at": NOW,
                "charged_credits": 0,
                "held_credits": 1,
            },
            "a held run holds its price",
        ),
        (
            {
                "phase": "active",
                "state": "running",
                "finished_at": None,
                "due_at": NOW,
                "charged_credits": 0,
                "held_credits": 6,
                "created_at": NOW - 2 * HOURS,
            },
            "every run ends, and in time",
        ),
    ],
)
async def test_offenders_are_found(database: Database, change: dict[str, Any], fact: str) -> None:
    good = settled()
    await insert(database, good, replace(good, id=uuid7()))
    async with database.sessions.begin() as session:
        await session.execute(update(RunRow).where(RunRow.id == good.id).values(**change))
    async with database.sessions() as session:
        found = await offenders(session, now=NOW, settled_within=HOURS)
    assert [(offender.fact, offender.run_id) for offender in found] == [(fact, good.id)]


async def test_listing_and_due_runs_use_their_indexes(database: Database) -> None:
    async with database.sessions() as session:
        for way in ("seqscan", "bitmapscan"):
            await session.execute(text(f"SET LOCAL enable_{way} = off"))
        for statement, index in (
            ("SELECT id FROM tools.runs WHERE due_at <= now() ORDER BY due_at", "ix_runs_due"),
            (
                f"""SELECT id FROM tools.runs WHERE organization_id = '{uuid7()}'
                ORDER BY created_at DESC, id DESC LIMIT 50""",
                "ix_runs_listing",
            ),
        ):
            plan = "\n".join(await session.scalars(text(f"EXPLAIN {statement}")))
            assert index in plan
            assert "Sort" not in plan
