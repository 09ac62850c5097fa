"""All SQL of the tools service."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.tools import pacing
from business_svc.tools.runs import Failure, Output, Phase, Progress, Run, Spec, State
from business_svc.tools.tables import RunRow


class Position(NamedTuple):
    """Where a run stands in the listing of its organization."""

    created_at: datetime
    id: uuid.UUID


class RunStore:
    """Reads and writes runs inside the caller's transaction; never commits."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, run: Run, *, now: datetime) -> None:
        """Insert a new run."""
        row = RunRow(id=run.id, tries=0, due_at=pacing.first_look(run, now), **_columns(run))
        self._session.add(row)

    async def find(self, run_id: uuid.UUID) -> Run | None:
        """Return a run as last committed."""
        row = await self._session.get(RunRow, run_id)
        return None if row is None else _run(row)

    async def lock(self, run_id: uuid.UUID) -> Run | None:
        """Return a run, holding its row until the transaction ends."""
        row = await self._session.get(RunRow, run_id, with_for_update=True)
        return None if row is None else _run(row)

    async def save(self, run: Run, *, now: datetime) -> None:
        """Write a run that `lock` gave, after it moved."""
        row = await self._session.get_one(RunRow, run.id)
        for name, value in _columns(run).items():
            setattr(row, name, value)
        row.due_at = pacing.first_look(run, now)
        row.tries = 0

    async def remove(self, run_id: uuid.UUID) -> None:
        """Delete a run that `lock` gave."""
        await self._session.delete(await self._session.get_one(RunRow, run_id))

    async def page(
        self, organization_id: uuid.UUID, *, after: Position | None, limit: int
    ) -> Sequence[Run]:
        """Return accepted runs of an organization, newest first, older than `after`."""
        query = (
            select(RunRow)
            .where(RunRow.organization_id == organization_id, RunRow.phase != Phase.HOLDING)
            .order_by(RunRow.created_at.desc(), RunRow.id.desc())
            .limit(limit)
        )
        if after is not None:
            query = query.where(tuple_(RunRow.created_at, RunRow.id) < tuple_(*after))
        return [_run(row) for row in await self._session.scalars(query)]

    async def organizations_since(self, since: datetime, *, count: int) -> Sequence[uuid.UUID]:
        """Return organizations with a run that began or ended since then."""
        query = (
            select(RunRow.organization_id)
            .where(or_(RunRow.created_at >= since, RunRow.finished_at >= since))
            .distinct()
            .order_by(RunRow.organization_id)
            .limit(count)
        )
        return list(await self._session.scalars(query))

    async def charged_since(
        self, organization_id: uuid.UUID, since: datetime
    ) -> Sequence[uuid.UUID]:
        """Return an organization's runs that were settled since then and charged for."""
        query = select(RunRow.id).where(
            RunRow.organization_id == organization_id,
            RunRow.finished_at >= since,
            RunRow.charged_credits > 0,
        )
        return list(await self._session.scalars(query))

    async def make_due(self, *, now: datetime) -> None:
        """Make every active run due."""
        await self._session.execute(
            update(RunRow)
            .where(RunRow.phase == Phase.ACTIVE, RunRow.due_at > now)
            .values(due_at=now)
        )

    async def take_due(self, *, now: datetime, limit: int) -> Sequence[uuid.UUID]:
        """Return runs that are due, putting each off so that nobody else takes it meanwhile."""
        rows = await self._session.scalars(
            select(RunRow)
            .where(RunRow.due_at <= now)
            .order_by(RunRow.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        taken = list(rows)
        for row in taken:
            row.tries += 1
            row.due_at = pacing.next_look(row.tries, now)
        return [row.id for row in taken]


def _columns(run: Run) -> dict[str, Any]:
    """Return everything of a run but its id, by column."""
    failure = run.failure
    progress = asdict(replace(run.progress, started_at=None))
    del progress["started_at"]  # A time has a column of its own.
    return {
        "organization_id": run.organization_id,
        "user_id": run.user_id,
        "idempotency_key": run.idempotency_key,
        **_spec_columns(run.spec),
        "image_key": run.image_key,
        "phase": run.phase.value,
        "state": run.state.value,
        "verdict": None if run.verdict is None else run.verdict.value,
        "cancel_requested": run.cancel_requested,
        "job_id": run.job_id,
        "progress": progress,
        "outputs": [asdict(output) for output in run.outputs],
        "error_reason": None if failure is None else failure.reason,
        "error_message": None if failure is None else failure.message,
        "held_credits": run.held_credits,
        "charged_credits": run.charged_credits,
        "created_at": run.created_at,
        "start_deadline": run.start_deadline,
        "started_at": run.progress.started_at,
        "finished_at": run.finished_at,
    }


def _spec_columns(spec: Spec) -> dict[str, Any]:
    return {
        "tool": spec.tool,
        "tool_version": spec.tool_version,
        "model": spec.model,
        "task": spec.task,
        "inputs": dict(spec.inputs),
        "image_input": spec.image_input,
        "count": spec.count,
        "unit_credits": spec.unit_credits,
        "band": spec.band,
    }


def _run(row: RunRow) -> Run:
    failure = None
    if row.error_reason is not None:
        failure = Failure(row.error_reason, row.error_message or "")
    return Run(
        id=row.id,
        organization_id=row.organization_id,
        user_id=row.user_id,
        spec=_spec(row),
        created_at=row.created_at,
        start_deadline=row.start_deadline,
        idempotency_key=row.idempotency_key,
        phase=Phase(row.phase),
        state=State(row.state),
        cancel_requested=row.cancel_requested,
        image_key=row.image_key,
        job_id=row.job_id,
        progress=Progress(**row.progress, started_at=row.started_at),
        verdict=None if row.verdict is None else State(row.verdict),
        outputs=tuple(Output(**output) for output in row.outputs),
        failure=failure,
        held_credits=row.held_credits,
        charged_credits=row.charged_credits,
        finished_at=row.finished_at,
    )


def _spec(row: RunRow) -> Spec:
    return Spec(
        tool=row.tool,
        tool_version=row.tool_version,
        model=row.model,
        task=row.task,
        inputs=row.inputs,
        image_input=row.image_input,
        count=row.count,
        unit_credits=row.unit_credits,
        band=row.band,
    )
