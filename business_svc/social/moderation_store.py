"""SQL of reports and cases."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.social.moderation import (
    SEVERITIES,
    Case,
    CaseEvent,
    CaseState,
    Complaint,
    Report,
    Subject,
    SubjectKind,
)
from business_svc.social.reaction_tables import CaseEventRow, CaseRow, ReportRow

REPORTS_SHOWN_MAX: Final = 100

QueuePlace = tuple[int, datetime, uuid.UUID]


@dataclass(frozen=True, slots=True)
class ModerationStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def open_case(self, subject: Subject, *, case_id: uuid.UUID, now: datetime) -> Case:
        """Return the case of a subject, made if there is none; its row is held until the end."""
        await self.session.execute(
            insert(CaseRow)
            .values(
                id=case_id,
                subject_kind=subject.kind,
                subject_id=subject.id,
                owner_id=subject.owner_id,
                state=CaseState.OPEN,
                urgency=0,
                report_count=0,
                opened_at=now,
            )
            .on_conflict_do_nothing()
        )
        query = select(CaseRow).where(
            CaseRow.subject_kind == subject.kind, CaseRow.subject_id == subject.id
        )
        return _case(await self.session.scalar(query.with_for_update()))

    async def report_by(self, reporter_id: uuid.UUID, case: Case) -> Report | None:
        """Return what a user reported in a case."""
        query = select(ReportRow).where(
            ReportRow.reporter_id == reporter_id, ReportRow.case_id == case.id
        )
        row = await self.session.scalar(query)
        return None if row is None else _report(row, case.state)

    async def add_report(
        self, case: Case, complaint: Complaint, *, report_id: uuid.UUID, now: datetime
    ) -> Report:
        """Keep a report in a case that `open_case` gave; the case is open then."""
        row = ReportRow(
            id=report_id,
            case_id=case.id,
            reporter_id=complaint.reporter_id,
            subject_kind=case.subject.kind,
            subject_id=case.subject.id,
            reason=complaint.reason,
            note=complaint.note,
            created_at=now,
        )
        self.session.add(row)
        urgency = -max(case.severity, SEVERITIES[complaint.reason])
        reopened = {} if case.state is CaseState.OPEN else {"opened_at": now}
        await self.session.execute(
            update(CaseRow)
            .where(CaseRow.id == case.id)
            .values(
                state=CaseState.OPEN,
                urgency=urgency,
                report_count=CaseRow.report_count + 1,
                **reopened,
            )
        )
        return _report(row, CaseState.OPEN)

    async def reported_since(self, reporter_id: uuid.UUID, since: datetime) -> int:
        """Return how often a user has reported since then."""
        query = select(func.count()).where(
            ReportRow.reporter_id == reporter_id, ReportRow.created_at > since
        )
        return await self.session.scalar(query) or 0

    async def lock_case(self, case_id: uuid.UUID) -> Case | None:
        """Return a case, held until the transaction ends."""
        row = await self.session.scalar(
            select(CaseRow).where(CaseRow.id == case_id).with_for_update()
        )
        return None if row is None else _case(row)

    async def set_state(self, case_id: uuid.UUID, state: CaseState) -> None:
        """Write how a case stands."""
        await self.session.execute(update(CaseRow).where(CaseRow.id == case_id).values(state=state))

    async def add_event(self, case_id: uuid.UUID, event: CaseEvent) -> None:
        """Append to what happened in a case."""
        self.session.add(
            CaseEventRow(
                case_id=case_id,
                kind=event.kind,
                operator_id=event.operator_id,
                note=event.note,
                created_at=event.created_at,
            )
        )

    async def case(self, case_id: uuid.UUID) -> Case | None:
        """Return a case with its first 100 reports and all its events."""
        row = await self.session.get(CaseRow, case_id, populate_existing=True)
        if row is None:
            return None
        reports = await self.session.scalars(
            select(ReportRow)
            .where(ReportRow.case_id == case_id)
            .order_by(ReportRow.id)
            .limit(REPORTS_SHOWN_MAX)
        )
        events = await self.session.scalars(
            select(CaseEventRow).where(CaseEventRow.case_id == case_id).order_by(CaseEventRow.id)
        )
        return _case(
            row,
            reports=[_report(report, CaseState(row.state)) for report in reports],
            events=[
                CaseEvent(event.kind, event.operator_id, event.note, event.created_at)
                for event in events
            ],
        )

    async def queue(
        self, state: CaseState, *, after: QueuePlace | None, count: int
    ) -> Sequence[Case]:
        """Return the cases in a state, the gravest and then the oldest first."""
        place = (CaseRow.urgency, CaseRow.opened_at, CaseRow.id)
        query = select(CaseRow).where(CaseRow.state == state).order_by(*place).limit(count)
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(*after))
        return [_case(row) for row in await self.session.scalars(query)]

    async def reports_of(
        self, reporter_id: uuid.UUID, *, after: tuple[datetime, uuid.UUID] | None, count: int
    ) -> Sequence[Report]:
        """Return what a user reported, newest first."""
        place = (ReportRow.created_at, ReportRow.id)
        query = (
            select(ReportRow, CaseRow.state)
            .join(CaseRow, CaseRow.id == ReportRow.case_id)
            .where(ReportRow.reporter_id == reporter_id)
            .order_by(*(column.desc() for column in place))
            .limit(count)
        )
        if after is not None:
            query = query.where(tuple_(*place) < tuple_(*after))
        return [_report(row, CaseState(state)) for row, state in await self.session.execute(query)]


def _case(
    row: CaseRow | None, *, reports: Sequence[Report] = (), events: Sequence[CaseEvent] = ()
) -> Case:
    assert row is not None
    return Case(
        id=row.id,
        subject=Subject(SubjectKind(row.subject_kind), row.subject_id, row.owner_id),
        state=CaseState(row.state),
        severity=-row.urgency,
        report_count=row.report_count,
        opened_at=row.opened_at,
        reports=reports,
        events=events,
    )


def _report(row: ReportRow, case_state: CaseState) -> Report:
    return Report(
        id=row.id,
        subject_kind=SubjectKind(row.subject_kind),
        subject_id=row.subject_id,
        reason=row.reason,
        note=row.note,
        created_at=row.created_at,
        case_state=case_state,
    )
