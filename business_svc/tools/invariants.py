"""Facts that must always hold for runs, as queries that return those for which they do not."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.tools.runs import LIVE, Phase, State
from business_svc.tools.tables import RunRow

FINISHED = RunRow.phase == Phase.SETTLED


@dataclass(frozen=True, slots=True)
class Offender:
    """A run that breaks a fact."""

    fact: str
    run_id: uuid.UUID


def facts(now: datetime, *, settled_within: timedelta) -> dict[str, ColumnElement[bool]]:
    """Return each fact with the condition of the runs that break it."""
    made = func.jsonb_array_length(RunRow.outputs)
    succeeded = RunRow.state == State.SUCCEEDED
    return {
        "every run ends, and in time": and_(~FINISHED, RunRow.created_at < now - settled_within),
        "a settled run is in a final state": and_(FINISHED, RunRow.state.in_(LIVE)),
        "a run that is not settled is looked at again": and_(~FINISHED, RunRow.due_at.is_(None)),
        "a settled run holds nothing": and_(FINISHED, RunRow.held_credits != 0),
        "a held run holds its price": and_(
            RunRow.phase.in_([Phase.SUBMITTING, Phase.ACTIVE, Phase.SETTLING]),
            RunRow.held_credits != RunRow.unit_credits * RunRow.count,
        ),
        "only a success is charged": and_(~succeeded, RunRow.charged_credits != 0),
        "a success is charged for what was made": and_(
            succeeded, or_(made == 0, RunRow.charged_credits != made * RunRow.unit_credits)
        ),
        "a failure says why": and_(
            RunRow.state.in_([State.FAILED, State.EXPIRED]), RunRow.error_reason.is_(None)
        ),
    }


async def offenders(
    session: AsyncSession, *, now: datetime, settled_within: timedelta
) -> Sequence[Offender]:
    """Return every run that breaks a fact; `settled_within` is how old a live run may be."""
    found: list[Offender] = []
    for fact, broken in facts(now, settled_within=settled_within).items():
        ids = await session.scalars(select(RunRow.id).where(broken).order_by(RunRow.id))
        found.extend(Offender(fact, run_id) for run_id in ids)
    return found
