"""Each invariant of the jobs finds the damage that it is for, and the schedule shows it."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from sqlalchemy import text

from inference.connectors.protocol import Failure, Fault
from inference.jobs.invariants import INVARIANTS, invariant_check, offenders
from inference.jobs.metrics import OFFENDERS
from inference.testing import REGION, Bench, completion

# By the invariant's name: what is done to one ended, one re-run and one waiting job.
DAMAGE = {
    "every job is in exactly one place: waiting, pausing, leased or ended": (
        "DELETE FROM jobs.ready"
    ),
    "every place belongs to a job": (
        "INSERT INTO jobs.scheduled VALUES (gen_random_uuid(), now(), 1, 1, '', NULL)"
    ),
    "each grant of a job raises its fence by one": (
        "UPDATE jobs.job_event SET fence = 1 WHERE event = 'grant' AND fence = 2"
    ),
    "a job is granted again only after its earlier lease was given up": (
        "DELETE FROM jobs.job_event WHERE event = 'retry'"
    ),
    "a job ends under its newest fence": "UPDATE jobs.outcome SET fence = 7",
    "nothing happens to a job after its end": (
        "INSERT INTO jobs.job_event (job_id, fence, event, detail, at) "
        "SELECT job_id, fence, 'start', '', now() FROM jobs.outcome"
    ),
    "no lease is long past its time": "UPDATE jobs.lease SET lease_until = now() - interval '1 h'",
}


async def history(jobs: Bench) -> None:
    """Make a job that ended, one that runs for the second time and one that waits."""
    done = await jobs.leased("done")
    await jobs.part.leases.complete(REGION, completion(done.key))
    broken = await jobs.leased("broken")
    await jobs.part.leases.fail(REGION, Failure(broken.key, Fault.ATTEMPT, "BROKEN"))
    assert await jobs.grant(broken.key.job_id)
    await jobs.submit("waiting")


def test_every_invariant_has_its_damage() -> None:
    assert set(DAMAGE) == {invariant.name for invariant in INVARIANTS}


@pytest.mark.parametrize("name", DAMAGE)
async def test_damage_is_found(jobs: Bench, name: str) -> None:
    await history(jobs)
    async with jobs.database.sessions() as session:
        assert await offenders(session) == {}
        for table in ("job", "outcome", "job_event"):
            await session.execute(text(f"ALTER TABLE jobs.{table} DISABLE TRIGGER USER"))
        await session.execute(text(DAMAGE[name]))
        found = await offenders(session)
        await session.rollback()
    assert len(found[name]) == 1
    assert set(found) <= {name, "a job ends under its newest fence"}


async def test_the_check_shows_offenders_as_a_metric_and_in_the_log(
    jobs: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    name = "every place belongs to a job"
    await history(jobs)
    check = invariant_check(jobs.database.sessions, timedelta(hours=1))
    assert await check.check() == {}
    await jobs.run(DAMAGE[name])
    with caplog.at_level(logging.ERROR):
        found = await check.check()
    assert list(found) == [name]
    assert OFFENDERS.labels(invariant=name)._value.get() == 1
    assert [vars(record)["invariant"] for record in caplog.records] == [name]
    await jobs.run("DELETE FROM jobs.scheduled WHERE attempts = 1")
    assert await check.check() == {}
    assert OFFENDERS.labels(invariant=name)._value.get() == 0
