"""All SQL of the ETL service, but for what PyIceberg writes to its catalogue."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, exists, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from platform_svc.etl.run import Failure, Outcome, Publication, Run, State
from platform_svc.etl.tables import PublicationRow, RunRow

COMMITTER: Final = "reelmesh.etl.committer"
# Longer than a process takes from its start to the lock.
STARTING: Final = timedelta(minutes=1)


class Position(NamedTuple):
    """Where a run stands in the listing."""

    asked_at: datetime
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class EtlStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def ask(self, run_id: uuid.UUID, asked_by: str, now: datetime) -> Run:
        """Let a run wait; if one waits already, give that one."""
        row = _columns(run_id, State.WAITING, asked_by, now)
        waiting = RunRow.state == State.WAITING
        same = (
            insert(RunRow)
            .values(row)
            .on_conflict_do_update(
                index_elements=[RunRow.state],
                index_where=text("state = 'waiting'"),
                set_={"state": State.WAITING},
                where=waiting,
            )
        )
        return _run((await self.session.scalars(same.returning(RunRow))).one())

    async def claim(self, now: datetime) -> Run | None:
        """Let the run that waits begin, unless one runs."""
        other = aliased(RunRow)
        waiting = (
            select(RunRow.id)
            .where(RunRow.state == State.WAITING)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        begin = (
            update(RunRow)
            .where(RunRow.id == waiting)
            .where(~exists().where(other.state == State.RUNNING))
            .values(state=State.RUNNING, started_at=now)
            .returning(RunRow)
        )
        row = (await self.session.scalars(begin)).one_or_none()
        return None if row is None else _run(row)

    async def begin(self, run_id: uuid.UUID, asked_by: str, now: datetime) -> None:
        """Record a run that has begun by itself."""
        row = _columns(run_id, State.RUNNING, asked_by, now) | {"started_at": now}
        await self.session.execute(insert(RunRow).values(row))

    async def finish(
        self, run_id: uuid.UUID, outcome: Outcome, failure: Failure | None, now: datetime
    ) -> bool:
        """Record the end of a run; False if it has ended otherwise before."""
        end = (
            update(RunRow)
            .where(RunRow.id == run_id, RunRow.state == State.RUNNING)
            .values(
                state=State.SUCCEEDED if failure is None else State.FAILED,
                failure="" if failure is None else failure.value,
                finished_at=now,
                counts=dict(outcome.counts),
                offenders={name: list(ids) for name, ids in outcome.offenders.items()},
            )
            .returning(RunRow.id)
        )
        return (await self.session.scalars(end)).one_or_none() is not None

    async def give_up_lost(self, now: datetime) -> int:
        """Fail runs whose process is gone: they run, and nobody holds the committer's lock."""
        lock = func.pg_try_advisory_xact_lock(func.hashtextextended(COMMITTER, 0))
        if not await self.session.scalar(select(lock)):
            return 0
        lost = (
            update(RunRow)
            .where(RunRow.state == State.RUNNING, RunRow.started_at < now - STARTING)
            .values(state=State.FAILED, failure=Failure.LOST.value, finished_at=now)
            .returning(RunRow.id)
        )
        return len((await self.session.scalars(lost)).all())

    async def find(self, run_id: uuid.UUID) -> Run | None:
        """Give a run."""
        row = await self.session.get(RunRow, run_id)
        return None if row is None else _run(row)

    async def newest_finished(self) -> Run | None:
        """Give the run that ended last."""
        query = (
            select(RunRow)
            .where(RunRow.finished_at.is_not(None))
            .order_by(RunRow.finished_at.desc())
            .limit(1)
        )
        row = (await self.session.scalars(query)).one_or_none()
        return None if row is None else _run(row)

    async def counted_since(self, count: str, since: datetime) -> bool:
        """Say whether a run since then has told this count."""
        told = RunRow.counts.has_key(count) & (RunRow.finished_at >= since)
        return bool(await self.session.scalar(select(exists().where(told))))

    async def newest_count(self, count: str) -> int:
        """Give a count as the run told it that told it last; 0 if none did."""
        query = (
            select(RunRow.counts)
            .where(RunRow.counts.has_key(count))
            .order_by(RunRow.finished_at.desc())
            .limit(1)
        )
        counts = (await self.session.scalars(query)).one_or_none()
        return 0 if counts is None else int(counts[count])

    async def page(self, *, after: Position | None, count: int) -> list[Run]:
        """Give runs, newest first, older than `after`."""
        query = select(RunRow).order_by(RunRow.asked_at.desc(), RunRow.id.desc()).limit(count)
        if after is not None:
            query = query.where(tuple_(RunRow.asked_at, RunRow.id) < tuple_(*after))
        return [_run(row) for row in await self.session.scalars(query)]

    async def publish(
        self, run_id: uuid.UUID, contents: Mapping[str, Mapping[str, Any]], now: datetime
    ) -> None:
        """Put what a run made in place of what was there."""
        for name, content in contents.items():
            row = {"run_id": run_id, "made_at": now, "content": dict(content)}
            put = insert(PublicationRow).values(name=name, **row)
            await self.session.execute(
                put.on_conflict_do_update(index_elements=[PublicationRow.name], set_=row)
            )

    async def publication(self, name: str) -> Publication | None:
        """Give what the newest run made under the name."""
        row = await self.session.get(PublicationRow, name)
        return None if row is None else Publication(name, row.run_id, row.made_at, row.content)

    async def sweep(self, before: datetime) -> int:
        """Delete runs that were asked for before then and are over; say how many."""
        over = (RunRow.asked_at < before) & RunRow.finished_at.is_not(None)
        deleted = delete(RunRow).where(over).returning(RunRow.id)
        return len((await self.session.scalars(deleted)).all())


def _columns(run_id: uuid.UUID, state: State, asked_by: str, now: datetime) -> dict[str, Any]:
    return {
        "id": run_id,
        "state": state.value,
        "asked_by": asked_by,
        "asked_at": now,
        "failure": "",
        "counts": {},
        "offenders": {},
    }


def _run(row: RunRow) -> Run:
    offenders: Mapping[str, Sequence[str]] = row.offenders
    return Run(
        id=row.id,
        state=State(row.state),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        failure=row.failure,
        outcome=Outcome(row.counts, offenders),
    )
