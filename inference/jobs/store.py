"""Runs the SQL of the jobs service inside the caller's transaction; never commits."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import DateTime, Row, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from inference.connectors.protocol import Beat, Lease, LeaseKey, Output, Submission
from inference.jobs import statements
from inference.jobs.job import Job, JobFailure
from inference.jobs.state import State
from inference.scheduler.cost import cost_seconds
from inference.scheduler.settings import due_after
from inference.scheduler.snapshot import Placement, ReadyJob, RegionLoad, Shares, Waiting

# Lanes that one decision looks at; with more, the rest is served by the share for late jobs.
LANES_MAX: Final = 1000
# Jobs that each lane shows at least, and each queue of those that are due first.
EACH_MIN: Final = 4


@dataclass(frozen=True, slots=True)
class HeldLease:
    """What a job had when it was taken out of its lease or out of the queue.

    `state` is where it was; `attempts` counts this attempt and the broken ones before it.
    """

    key: LeaseKey
    state: State
    attempts: int
    attempts_max: int
    region: str
    start_deadline: datetime | None
    started_at: datetime | None
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class Ending:
    """What is recorded of a job's end besides its state."""

    outputs: tuple[Output, ...] | None = None
    failure: JobFailure | None = None
    run_ms: int = 0
    upload_ms: int = 0
    steps_made: int = 0


@dataclass(frozen=True, slots=True)
class Depths:
    """How much waits and runs; `ready` stops counting at 100,001."""

    ready: int
    scheduled: int
    leases: int


def _moments(statement: str, *names: str) -> TextClause:
    """Prepare a statement whose parameters of these names are times with a zone."""
    kinds = [bindparam(name, type_=DateTime(timezone=True)) for name in names]
    return text(statement).bindparams(*kinds)


SUBMIT: Final = _moments(statements.SUBMIT, "start_deadline")
REQUEUE: Final = _moments(statements.REQUEUE, "start_deadline")
SCHEDULE: Final = _moments(statements.SCHEDULE, "start_deadline")
FINISH: Final = _moments(statements.FINISH, "started_at")
FIND_BY_KEY: Final = text(statements.FIND_BY_KEY)
READ: Final = text(statements.READ)
READY: Final = text(statements.READY)
CLAIM: Final = text(statements.CLAIM)
EXTEND: Final = text(statements.EXTEND)
TAKE_LEASE: Final = text(statements.TAKE_LEASE)
TAKE_EXPIRED: Final = text(statements.TAKE_EXPIRED)
TAKE_QUEUED: Final = text(statements.TAKE_QUEUED)
TAKE_LATE: Final = text(statements.TAKE_LATE)
PROMOTE: Final = text(statements.PROMOTE)
REQUEST_CANCEL: Final = text(statements.REQUEST_CANCEL)
FIND_OUTCOME: Final = text(statements.FIND_OUTCOME)
DEPTHS: Final = text(statements.DEPTHS)
REGION_LOADS: Final = text(statements.REGION_LOADS)
ADD_REGIONS: Final = text(statements.ADD_REGIONS)
FORGET_CLOCKS: Final = text(statements.FORGET_CLOCKS)
PIN_PLANS: Final = text(statements.PIN_PLANS)


class JobStore:
    """Reads and writes of jobs in one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _rows(self, statement: TextClause, **values: Any) -> Sequence[Row[Any]]:
        return (await self._session.execute(statement, values)).all()

    async def pin_plans(self) -> None:
        """Keep the planner to index scans for this transaction."""
        await self._session.execute(PIN_PLANS)

    async def submit(self, job_id: uuid.UUID, submission: Submission, fingerprint: bytes) -> bool:
        """Record and queue a job; False when the tenant used the key before."""
        values = asdict(submission) | {"id": job_id, "fingerprint": fingerprint}
        values["inputs"] = json.dumps(submission.inputs)
        values["regions"] = _region_text(submission.regions)
        values["cost_seconds"] = cost_seconds(submission.inputs, submission.count)
        values["patience"] = due_after(submission.band)
        return bool(await self._rows(SUBMIT, **values))

    async def find_by_key(self, tenant_id: str, key: str) -> tuple[uuid.UUID, bytes] | None:
        """Give the id and the fingerprint of the job that has this key."""
        rows = await self._rows(FIND_BY_KEY, tenant_id=tenant_id, idempotency_key=key)
        return (rows[0].id, rows[0].fingerprint) if rows else None

    async def read(self, job_id: uuid.UUID) -> Job | None:
        """Give a job as it stands."""
        rows = await self._rows(READ, job_id=job_id)
        return _job(rows[0]) if rows else None

    async def waiting(self, models: Sequence[str], regions: Sequence[str], room: int) -> Waiting:
        """Give what the scheduler decides on, for this much room for these models."""
        rows = await self._rows(
            READY, models=list(models), room=room, lanes_max=LANES_MAX, each_min=EACH_MIN
        )
        if not rows:
            return Waiting(())
        names = sorted(set(regions))
        loads = {r.name: _load(r) for r in await self._rows(REGION_LOADS, names=names)}
        shares = Shares(
            clocks={(r.band, r.tenant_id): r.clock for r in rows if r.clock is not None},
            floors={r.band: r.floor for r in rows if r.floor is not None},
            owed_seconds=rows[0].owed or 0.0,
        )
        return Waiting(tuple(_ready(row) for row in rows), loads, shares)

    async def add_regions(self, names: Collection[str]) -> None:
        """Make regions known, as open; those that are known stay as they are."""
        await self._session.execute(ADD_REGIONS, {"names": sorted(names)})

    async def claim(
        self, placements: Sequence[Placement], ttl: timedelta
    ) -> dict[uuid.UUID, Lease]:
        """Turn waiting jobs into leases with the next fence; those already gone are missing."""
        rows = await self._rows(
            CLAIM,
            ids=[p.job_id for p in placements],
            regions=[p.region for p in placements],
            agents=[p.agent_id for p in placements],
            reasons=[p.reason for p in placements],
            bands=[p.charge.band for p in placements],
            tenants=[p.charge.tenant_id for p in placements],
            clocks=[p.charge.clock for p in placements],
            floors=[p.charge.floor for p in placements],
            owed=placements[-1].charge.owed_seconds_after,
            ttl=ttl,
        )
        return {row.job_id: _lease(row) for row in rows}

    async def extend(
        self, region: str, beats: Sequence[Beat], ttl: timedelta
    ) -> dict[LeaseKey, bool]:
        """Extend the region's leases; gives those still held and whether each is canceled."""
        rows = await self._rows(
            EXTEND,
            region=region,
            ids=[b.key.job_id for b in beats],
            fences=[b.key.fence for b in beats],
            step=[b.step for b in beats],
            steps=[b.steps for b in beats],
            ttl=ttl,
        )
        return {LeaseKey(r.job_id, r.fence): r.cancel_requested for r in rows}

    async def take_lease(self, region: str | None, key: LeaseKey) -> HeldLease | None:
        """Delete the region's lease (any region's for None); None when it is not held."""
        rows = await self._rows(TAKE_LEASE, job_id=key.job_id, fence=key.fence, region=region)
        return _held(rows[0]) if rows else None

    async def take_expired(self, limit: int) -> list[HeldLease]:
        """Delete leases that are past their time."""
        return [_held(row) for row in await self._rows(TAKE_EXPIRED, limit=limit)]

    async def take_queued(self, job_id: uuid.UUID) -> HeldLease | None:
        """Take a waiting job out of the queue; None when it does not wait."""
        rows = await self._rows(TAKE_QUEUED, job_id=job_id)
        return _waiting(rows[0]) if rows else None

    async def take_late(self, limit: int) -> list[HeldLease]:
        """Take waiting jobs whose start deadline has passed out of the queue."""
        return [_waiting(row) for row in await self._rows(TAKE_LATE, limit=limit)]

    async def requeue(
        self, lease: HeldLease, *, attempts: int, event: str, detail: str, pause: timedelta
    ) -> None:
        """Put a job back in its place in the queue, after the pause if there is one."""
        # A job that had started has met its deadline, even if it must start again.
        deadline = lease.start_deadline if lease.started_at is None else None
        values = {
            "job_id": lease.key.job_id,
            "fence": lease.key.fence,
            "attempts": attempts,
            "region": lease.region,
            "start_deadline": deadline,
            "event": event,
            "detail": detail,
        }
        if pause:
            await self._session.execute(SCHEDULE, values | {"pause": pause})
        else:
            await self._session.execute(REQUEUE, values)

    async def promote(self, limit: int) -> int:
        """Queue the jobs whose pause is over; gives their number."""
        return len(await self._rows(PROMOTE, limit=limit))

    async def request_cancel(self, job_id: uuid.UUID) -> bool:
        """Flag the live lease of a job; False when there is none."""
        return bool(await self._rows(REQUEST_CANCEL, job_id=job_id))

    async def finish(self, lease: HeldLease, state: State, ending: Ending, *, event: str) -> None:
        """Record the one terminal state of a job."""
        outputs = None
        if state is State.SUCCEEDED:
            assert ending.outputs is not None
            outputs = json.dumps([asdict(output) for output in ending.outputs])
        failure = ending.failure or JobFailure("", "")
        await self._session.execute(
            FINISH,
            {
                "job_id": lease.key.job_id,
                "fence": lease.key.fence,
                "state": state.value,
                "region": lease.region,
                "outputs": outputs,
                "reason": failure.reason,
                "message": failure.message,
                # The last report may still have been under way when the completion came.
                "step": lease.steps
                if state is State.SUCCEEDED
                else max(lease.step, ending.steps_made),
                "steps": lease.steps,
                "run_ms": ending.run_ms,
                "upload_ms": ending.upload_ms,
                "started_at": lease.started_at,
                "event": event,
            },
        )

    async def find_outcome(self, job_id: uuid.UUID) -> tuple[int, State, tuple[Output, ...]] | None:
        """Give the fence, state and outputs that a job ended with."""
        rows = await self._rows(FIND_OUTCOME, job_id=job_id)
        if not rows:
            return None
        return rows[0].fence, State(rows[0].state), _outputs(rows[0].outputs)

    async def forget_clocks(self, catch_up_seconds: float) -> None:
        """Forget the tenants whose clock lies further than this below its band's floor."""
        await self._session.execute(FORGET_CLOCKS, {"catch_up_seconds": catch_up_seconds})

    async def depths(self) -> Depths:
        """Count what waits and runs."""
        row = (await self._rows(DEPTHS))[0]
        return Depths(row.ready, row.scheduled, row.leases)


def _held(row: Row[Any]) -> HeldLease:
    return HeldLease(
        key=LeaseKey(row.job_id, row.fence),
        state=_leased_state(row),
        attempts=row.attempts,
        attempts_max=row.attempts_max,
        region=row.region,
        start_deadline=row.start_deadline,
        started_at=row.started_at,
        step=row.step,
        steps=row.steps,
    )


def _waiting(row: Row[Any]) -> HeldLease:
    return HeldLease(
        key=LeaseKey(row.job_id, row.fence),
        state=State.QUEUED,
        attempts=row.attempts,
        attempts_max=0,
        region=row.last_region,
        start_deadline=row.start_deadline,
        started_at=None,
        step=0,
        steps=0,
    )


def _ready(row: Row[Any]) -> ReadyJob:
    return ReadyJob(
        job_id=row.job_id,
        model=row.queue,
        tenant_id=row.tenant_id,
        band=row.band,
        order=row.vt,
        start_deadline=row.start_deadline,
        weight=row.weight,
        cost_seconds=row.cost_seconds,
        regions=frozenset(row.regions.split(",")) if row.regions else frozenset(),
    )


def _load(row: Row[Any]) -> RegionLoad:
    return RegionLoad(row.state == "active", row.backlog_seconds, row.running)


def _region_text(regions: Collection[str]) -> str:
    return ",".join(sorted(set(regions)))


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        key=LeaseKey(row.job_id, row.fence),
        expires_at=row.lease_until,
        model=row.model,
        task=row.task,
        inputs=_json(row.inputs),
        count=row.pictures,
        traceparent=row.traceparent,
    )


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _outputs(value: Any) -> tuple[Output, ...]:
    items: Sequence[Mapping[str, Any]] = _json(value) or ()
    return tuple(Output(**item) for item in items)


def _state(row: Row[Any]) -> State:
    if row.outcome_state is not None:
        return State(row.outcome_state)
    return _leased_state(row) if row.is_leased else State.QUEUED


def _leased_state(row: Row[Any]) -> State:
    if row.cancel_requested:
        return State.CANCELING
    return State.LEASED if row.started_at is None else State.RUNNING


def _milliseconds(begin: datetime, end: datetime | None) -> int:
    return 0 if end is None else max(round((end - begin) / timedelta(milliseconds=1)), 0)


def _job(row: Row[Any]) -> Job:
    state = _state(row)
    failed = state in {State.FAILED, State.EXPIRED}
    return Job(
        id=row.id,
        tenant_id=row.tenant_id,
        idempotency_key=row.idempotency_key,
        model=row.model,
        task=row.task,
        inputs=_json(row.inputs),
        count=row.pictures,
        attempts_max=row.attempts_max,
        created_at=row.created_at,
        state=state,
        attempt=row.fence,
        region=row.region,
        step=row.step,
        steps=row.steps,
        outputs=_outputs(row.outputs),
        failure=JobFailure(row.reason, row.message) if failed else None,
        queue_ms=_milliseconds(row.created_at, row.started_at),
        run_ms=row.run_ms or 0,
        upload_ms=row.upload_ms or 0,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested=row.cancel_requested or state is State.CANCELED,
    )
