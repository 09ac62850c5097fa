"""What the scheduled check finds: in the runs alone, and between the runs and the ledger."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from business_svc.tools.checking import CAPTURE_WITHOUT_RUN, OFFENDERS, RUN_WITHOUT_CAPTURE
from business_svc.tools.tables import RunRow
from meshkit.ids import format_id

from .factories import RUN
from .harness import Installation, Process, run_request

UNKNOWN = format_id("run", RUN)


async def settled(process: Process, installation: Installation, state: str = "succeeded") -> str:
    run_id: str = (await process.stub.RunTool(run_request())).run_id
    await process.hear(await installation.inference.finish(run_id, state))
    await process.tools.reconciler.run_once()
    return run_id


def shown(fact: str) -> Any:
    return OFFENDERS.labels(invariant=fact)._value.get()


async def test_an_honest_ledger_has_no_offenders(
    process: Process, installation: Installation
) -> None:
    for state in ("succeeded", "failed", "canceled", "succeeded"):
        await settled(process, installation, state)
    await process.stub.RunTool(run_request())
    assert len(installation.platform.entries) == 2
    assert await process.tools.check.check() == {}


@pytest.mark.parametrize("reference", [UNKNOWN, "no run at all"])
async def test_a_capture_without_a_run_is_found(
    process: Process, installation: Installation, reference: str
) -> None:
    await settled(process, installation)
    installation.platform.book(reference, 2)
    assert await process.tools.check.check() == {CAPTURE_WITHOUT_RUN: [reference]}


@pytest.mark.parametrize("state", ["failed", "canceled", "expired"])
async def test_a_capture_of_a_run_that_did_not_succeed_is_found(
    process: Process, installation: Installation, state: str
) -> None:
    run_id = await settled(process, installation, state)
    installation.platform.book(run_id, 2)
    assert await process.tools.check.check() == {CAPTURE_WITHOUT_RUN: [run_id]}


async def test_a_run_that_was_charged_twice_is_found(
    process: Process, installation: Installation
) -> None:
    run_id = await settled(process, installation)
    installation.platform.book(run_id, 2)
    assert await process.tools.check.check() == {CAPTURE_WITHOUT_RUN: [run_id, run_id]}


async def test_a_run_that_was_charged_otherwise_is_found(
    process: Process, installation: Installation
) -> None:
    run_id = await settled(process, installation)
    installation.platform.entries.clear()
    installation.platform.book(run_id, 1)
    assert await process.tools.check.check() == {CAPTURE_WITHOUT_RUN: [run_id]}


async def test_a_charge_that_the_ledger_does_not_have_is_found(
    process: Process, installation: Installation
) -> None:
    run_id = await settled(process, installation)
    installation.platform.entries.clear()
    assert await process.tools.check.check() == {RUN_WITHOUT_CAPTURE: [run_id]}


async def test_what_was_booked_long_ago_is_not_read_again(
    process: Process, installation: Installation
) -> None:
    await settled(process, installation)
    for day in range(1, 4):
        old = installation.clock.now() - timedelta(days=day, minutes=1)
        installation.platform.entries.reverse()
        installation.platform.book(UNKNOWN, 2, at=old)
        installation.platform.entries.reverse()
    assert await process.tools.check.check() == {}
    assert len(installation.platform.credits.calls["ListLedger"]) == 2


async def test_offenders_are_shown_until_they_are_gone(
    process: Process, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    fact = "a success is charged for what was made"
    run_id = await settled(process, installation)
    for charged, number in ((1, 1), (2, 0)):
        async with installation.database.sessions.begin() as session:
            await session.execute(update(RunRow).values(charged_credits=charged))
        with caplog.at_level(logging.ERROR):
            caplog.clear()
            await process.tools.check.check()
        told = [vars(one) for one in caplog.records if one.message == "an invariant is broken"]
        assert shown(fact) == number
        assert [(one["offenders"]) for one in told if one["invariant"] == fact] == [
            [run_id]
        ] * number
