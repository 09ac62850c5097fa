"""Jobs through their commands, on a real database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from reelmesh.inference.jobs.v1 import jobs_events_pb2 as events_pb
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from inference.connectors.errors import LeaseLost
from inference.connectors.protocol import Beat, Failure, Fault, LeaseKey, Verdict
from inference.jobs.errors import JobNotFound, ModelNotFound
from inference.jobs.settlement import SUBJECT_FINISHED, pause_before_retry
from inference.jobs.state import State
from inference.jobs.statements import PIN_PLANS
from inference.jobs.tables import Base
from inference.testing import REGION, Bench, completion, submission
from inference.wiring import MIGRATIONS
from meshkit.errors import IdempotencyKeyReused
from meshkit.migrations import downgrade, drift, upgrade
from meshkit.testing.databases import Databases

YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)


async def state(jobs: Bench, job_id: uuid.UUID) -> State:
    return (await jobs.part.queries.get(job_id)).state


def failure(key: LeaseKey, fault: Fault, reason: str = "BROKEN") -> Failure:
    return Failure(key, fault, reason, "it broke")


async def finished(jobs: Bench) -> list[events_pb.JobFinished]:
    rows = await jobs.rows("SELECT subject, payload FROM jobs.outbox ORDER BY position")
    assert {row.subject for row in rows} <= {SUBJECT_FINISHED}
    return [events_pb.JobFinished.FromString(row.payload) for row in rows]


async def test_migrations_and_tables_agree(databases: Databases, jobs_template: str) -> None:
    async with databases.clone(jobs_template) as url:
        assert await drift(url, Base.metadata) == []
        await downgrade(url, "jobs", MIGRATIONS, "base")
        await upgrade(url, "jobs", MIGRATIONS)
        assert await drift(url, Base.metadata) == []


async def test_a_submitted_job_is_queued(jobs: Bench) -> None:
    job = await jobs.part.commands.submit(submission())
    assert (job.state, job.attempt, job.region, job.step) == (State.QUEUED, 0, "", 0)
    assert job.inputs["prompt"] == "a red circle"


async def test_submit_takes_texts_that_hold_a_nul(jobs: Bench) -> None:
    job_id = await jobs.submit(inputs={"prompt": "a\x00b"})
    [lease] = await jobs.grant(job_id)
    assert lease.inputs == {"prompt": "a\x00b"}


async def test_submit_is_idempotent(jobs: Bench) -> None:
    first = await jobs.part.commands.submit(submission())
    assert await jobs.part.commands.submit(submission(inputs={**submission().inputs})) == first
    other = await jobs.part.commands.submit(submission(tenant_id="org_2"))
    assert other.id != first.id


async def test_submit_refuses_a_key_that_stands_for_something_else(jobs: Bench) -> None:
    await jobs.submit()
    with pytest.raises(IdempotencyKeyReused):
        await jobs.submit(count=2)


@pytest.mark.parametrize("changes", [{"model": "flux"}, {"task": "text-to-video"}])
async def test_submit_refuses_what_no_model_does(jobs: Bench, changes: dict[str, str]) -> None:
    with pytest.raises(ModelNotFound):
        await jobs.submit(**changes)


async def test_jobs_wait_by_band_then_by_submission(jobs: Bench) -> None:
    late, standard, interactive = [await jobs.submit(str(band), band=band) for band in (2, 1, 0)]
    assert await jobs.ready("shapes") == [interactive, standard, late]


async def test_a_job_runs_from_lease_to_success(jobs: Bench) -> None:
    lease = await jobs.leased()
    assert (lease.key.fence, lease.model, lease.count) == (1, "shapes", 1)
    assert await state(jobs, lease.key.job_id) is State.LEASED
    verdict = await jobs.part.leases.extend(REGION, [Beat(lease.key, 0, 4)])
    assert verdict == Verdict()
    await jobs.part.leases.extend(REGION, [Beat(lease.key, 3, 4)])
    running = await jobs.part.queries.get(lease.key.job_id)
    assert (running.state, running.step, running.steps) == (State.RUNNING, 3, 4)
    await jobs.part.leases.complete(REGION, completion(lease.key))
    done = await jobs.part.queries.get(lease.key.job_id)
    assert (done.state, done.attempt, done.region) == (State.SUCCEEDED, 1, REGION)
    assert (done.run_ms, done.upload_ms) == (900, 12)
    assert done.outputs == completion(lease.key).outputs
    assert done.started_at is not None
    assert done.queue_ms == round((done.started_at - done.created_at) / timedelta(milliseconds=1))
    [event] = await finished(jobs)
    assert (event.job.state, event.job.outputs[0].seed) == ("succeeded", 7)


async def test_a_success_before_the_report_of_its_start_has_started(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.part.leases.complete(REGION, completion(lease.key, run_ms=0, upload_ms=0))
    job = await jobs.part.queries.get(lease.key.job_id)
    assert job.started_at is not None
    assert job.created_at <= job.started_at <= job.finished_at


async def test_steps_never_go_back(jobs: Bench) -> None:
    lease = await jobs.leased()
    for step in (2, 1):
        await jobs.part.leases.extend(REGION, [Beat(lease.key, step, 4)])
    assert (await jobs.part.queries.get(lease.key.job_id)).step == 2


async def test_the_same_completion_again_is_harmless(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.part.leases.complete(REGION, completion(lease.key))
    await jobs.part.leases.complete(REGION, completion(lease.key))
    assert len(await finished(jobs)) == 1
    with pytest.raises(LeaseLost):
        await jobs.part.leases.complete(REGION, completion(lease.key, outputs=()))


async def test_a_stale_fence_is_refused(jobs: Bench) -> None:
    old = await jobs.leased()
    await jobs.pass_lease_time()
    assert await jobs.part.upkeep.expire_leases() == 1
    [new] = await jobs.grant(old.key.job_id)
    assert new.key.fence == 2
    with pytest.raises(LeaseLost):
        await jobs.part.leases.complete(REGION, completion(old.key))
    with pytest.raises(LeaseLost):
        await jobs.part.leases.fail(REGION, failure(old.key, Fault.INPUT))
    verdict = await jobs.part.leases.extend(REGION, [Beat(old.key, 1, 4), Beat(new.key)])
    assert verdict.lost == {old.key}
    await jobs.part.leases.complete(REGION, completion(new.key))
    assert (await jobs.part.queries.get(old.key.job_id)).attempt == 2


async def test_a_lease_of_another_region_is_not_held(jobs: Bench) -> None:
    lease = await jobs.leased()
    with pytest.raises(LeaseLost):
        await jobs.part.leases.complete("eu-west", completion(lease.key))
    assert (await jobs.part.leases.extend("eu-west", [Beat(lease.key)])).lost == {lease.key}
    assert await state(jobs, lease.key.job_id) is State.LEASED


async def test_a_lease_past_its_time_may_be_extended_until_it_is_taken(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.pass_lease_time()
    assert await jobs.part.leases.extend(REGION, [Beat(lease.key)]) == Verdict()
    assert await jobs.part.upkeep.expire_leases() == 0


async def test_a_job_keeps_its_place_when_it_is_queued_again(jobs: Bench) -> None:
    first = await jobs.leased("first")
    second = await jobs.submit("second")
    await jobs.part.leases.fail(REGION, failure(first.key, Fault.ATTEMPT))
    assert await jobs.ready("shapes") == [first.key.job_id, second]
    queued = await jobs.part.queries.get(first.key.job_id)
    assert (queued.state, queued.attempt, queued.region) == (State.QUEUED, 1, REGION)


async def test_attempts_run_out(jobs: Bench) -> None:
    job_id = await jobs.submit(attempts_max=3)
    for fence in (1, 2, 3):
        [lease] = await jobs.grant(job_id)
        assert lease.key.fence == fence
        await jobs.part.leases.fail(REGION, failure(lease.key, Fault.ATTEMPT, "REPLICA_DIED"))
        await jobs.pass_pauses()
    job = await jobs.part.queries.get(job_id)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.reason == "ATTEMPTS_EXHAUSTED"
    assert "REPLICA_DIED" in job.failure.message
    assert [event.job.state for event in await finished(jobs)] == ["failed"]


async def test_a_second_broken_attempt_waits_before_the_next(jobs: Bench) -> None:
    job_id = await jobs.submit()
    for _ in range(2):
        [lease] = await jobs.grant(job_id)
        await jobs.part.leases.fail(REGION, failure(lease.key, Fault.ATTEMPT))
    assert await jobs.grant(job_id) == []
    assert await state(jobs, job_id) is State.QUEUED
    assert await jobs.part.upkeep.promote() == 0
    await jobs.pass_pauses()
    assert len(await jobs.grant(job_id)) == 1


def test_pauses_grow_to_a_limit() -> None:
    seconds = [pause_before_retry(attempts).total_seconds() for attempts in range(1, 9)]
    assert seconds == [0, 1, 2, 4, 8, 16, 30, 30]


async def test_work_handed_back_does_not_count(jobs: Bench) -> None:
    job_id = await jobs.submit(attempts_max=1)
    for _ in range(3):
        [lease] = await jobs.grant(job_id)
        await jobs.part.leases.fail(REGION, failure(lease.key, Fault.HANDED_BACK))
    [lease] = await jobs.grant(job_id)
    assert lease.key.fence == 4
    await jobs.part.leases.complete(REGION, completion(lease.key))


async def test_bad_input_fails_at_once(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.part.leases.fail(REGION, failure(lease.key, Fault.INPUT, "INVALID_INPUT"))
    job = await jobs.part.queries.get(lease.key.job_id)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert (job.failure.reason, job.failure.message) == ("INVALID_INPUT", "it broke")
    await jobs.part.leases.fail(REGION, failure(lease.key, Fault.INPUT, "INVALID_INPUT"))
    assert len(await finished(jobs)) == 1


async def test_canceling_a_queued_job_ends_it(jobs: Bench) -> None:
    job_id = await jobs.submit()
    job = await jobs.part.commands.cancel(job_id)
    assert (job.state, job.cancel_requested, job.failure) == (State.CANCELED, True, None)
    assert await jobs.part.commands.cancel(job_id) == job
    assert await jobs.grant(job_id) == []
    assert [event.job.state for event in await finished(jobs)] == ["canceled"]


async def test_canceling_a_pausing_job_ends_it(jobs: Bench) -> None:
    job_id = await jobs.submit()
    for _ in range(2):
        [lease] = await jobs.grant(job_id)
        await jobs.part.leases.fail(REGION, failure(lease.key, Fault.ATTEMPT))
    assert (await jobs.part.commands.cancel(job_id)).state is State.CANCELED


async def test_a_running_job_learns_of_its_cancel(jobs: Bench) -> None:
    lease = await jobs.leased()
    job = await jobs.part.commands.cancel(lease.key.job_id)
    assert (job.state, job.cancel_requested) == (State.CANCELING, True)
    verdict = await jobs.part.leases.extend(REGION, [Beat(lease.key, 1, 4)])
    assert verdict == Verdict(canceled=frozenset({lease.key}))
    await jobs.part.leases.fail(REGION, failure(lease.key, Fault.CANCELED, "CANCELED"))
    assert await state(jobs, lease.key.job_id) is State.CANCELED


@pytest.mark.parametrize("fault", sorted(Fault))
async def test_a_canceled_lease_ends_canceled_whatever_happens(jobs: Bench, fault: Fault) -> None:
    lease = await jobs.leased()
    await jobs.part.commands.cancel(lease.key.job_id)
    await jobs.part.leases.fail(REGION, failure(lease.key, fault))
    assert await state(jobs, lease.key.job_id) is State.CANCELED


async def test_a_completion_after_the_cancel_publishes_nothing(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.part.commands.cancel(lease.key.job_id)
    for _ in range(2):
        with pytest.raises(LeaseLost):
            await jobs.part.leases.complete(REGION, completion(lease.key))
    job = await jobs.part.queries.get(lease.key.job_id)
    assert (job.state, job.outputs) == (State.CANCELED, ())
    assert [event.job.state for event in await finished(jobs)] == ["canceled"]


async def test_a_canceled_lease_that_expires_ends_the_job(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.part.commands.cancel(lease.key.job_id)
    await jobs.pass_lease_time()
    await jobs.part.upkeep.look()
    assert await state(jobs, lease.key.job_id) is State.CANCELED


async def test_canceling_a_finished_job_changes_nothing(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.part.leases.complete(REGION, completion(lease.key))
    job = await jobs.part.commands.cancel(lease.key.job_id)
    assert (job.state, job.cancel_requested) == (State.SUCCEEDED, False)


async def test_unknown_jobs(jobs: Bench) -> None:
    nobody = uuid.UUID(int=1)
    with pytest.raises(JobNotFound):
        await jobs.part.queries.get(nobody)
    with pytest.raises(JobNotFound):
        await jobs.part.commands.cancel(nobody)


async def test_a_job_that_cannot_start_in_time_expires(jobs: Bench) -> None:
    job_id = await jobs.submit(start_deadline=YEAR_2000)
    await jobs.part.upkeep.look()
    job = await jobs.part.queries.get(job_id)
    assert job.state is State.EXPIRED
    assert job.failure is not None
    assert job.failure.reason == "DEADLINE_PASSED"
    assert [event.job.state for event in await finished(jobs)] == ["expired"]


async def test_a_job_that_had_started_does_not_miss_its_deadline(jobs: Bench) -> None:
    lease = await jobs.leased(start_deadline=YEAR_2000)
    await jobs.part.leases.extend(REGION, [Beat(lease.key, 0, 4)])
    await jobs.part.leases.fail(REGION, failure(lease.key, Fault.ATTEMPT))
    await jobs.part.upkeep.look()
    assert await state(jobs, lease.key.job_id) is State.QUEUED


async def test_a_job_handed_back_before_its_start_still_has_its_deadline(jobs: Bench) -> None:
    lease = await jobs.leased(start_deadline=YEAR_2000)
    await jobs.part.leases.fail(REGION, failure(lease.key, Fault.HANDED_BACK))
    await jobs.part.upkeep.look()
    assert await state(jobs, lease.key.job_id) is State.EXPIRED


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE jobs.job SET count = 2",
        "DELETE FROM jobs.outcome",
        "UPDATE jobs.outcome SET state = 'failed'",
        "DELETE FROM jobs.job_event",
    ],
)
async def test_history_only_grows(jobs: Bench, statement: str) -> None:
    lease = await jobs.leased()
    await jobs.part.leases.complete(REGION, completion(lease.key))
    with pytest.raises(DBAPIError, match="only grows"):
        await jobs.run(statement)


async def test_the_schema_refuses_second_leases_outcomes_and_places(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.part.leases.complete(REGION, completion(lease.key))
    other = await jobs.leased("other")
    waiting = await jobs.submit("waiting")
    for statement in (
        "INSERT INTO jobs.lease SELECT * FROM jobs.lease",
        "INSERT INTO jobs.outcome SELECT * FROM jobs.outcome",
        (
            "INSERT INTO jobs.ready SELECT 'other', band, vt, job_id, tenant_id, fence, attempts, "
            "last_region, start_deadline, weight, cost_seconds, regions FROM jobs.ready"
        ),
        "UPDATE jobs.lease SET fence = 0",
    ):
        with pytest.raises(IntegrityError):
            await jobs.run(statement)
    assert await state(jobs, other.key.job_id) is State.LEASED
    assert await state(jobs, waiting) is State.QUEUED


async def test_a_claim_never_reads_the_whole_queue(jobs: Bench) -> None:
    await jobs.run(
        "INSERT INTO jobs.ready SELECT 'film', 1, n, gen_random_uuid(), 't', 0, 0, '', NULL "
        "FROM generate_series(1, 20000) AS n"
    )
    await jobs.run("ANALYZE jobs.ready")
    async with jobs.database.sessions.begin() as session:
        await session.execute(text(PIN_PLANS))
        plan = "\n".join(
            (
                await session.execute(
                    text(
                        "EXPLAIN DELETE FROM jobs.ready WHERE ctid = ANY(ARRAY(SELECT ctid FROM "
                        "jobs.ready WHERE job_id = ANY(CAST(:ids AS uuid[])) "
                        "FOR UPDATE SKIP LOCKED))"
                    ),
                    {"ids": [uuid.UUID(int=n) for n in range(50)]},
                )
            ).scalars()
        )
    assert "Tid Scan" in plan
    assert "uq_ready_job_id" in plan
    assert "Seq Scan" not in plan
    await jobs.run("TRUNCATE jobs.ready")
