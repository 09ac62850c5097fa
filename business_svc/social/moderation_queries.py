"""Read use cases of moderation."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.errors import CaseNotFound
from business_svc.social.keysets import Asked, Page, moment_token
from business_svc.social.moderation import Case, CaseState, Report
from business_svc.social.moderation_store import ModerationStore, QueuePlace
from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token


@dataclass(frozen=True, slots=True)
class ModerationQueries:
    """What operators may ask about cases, and reporters about their reports."""

    sessions: async_sessionmaker[AsyncSession]

    async def case(self, case_id: uuid.UUID) -> Case:
        """Return a case with its reports and events.

        Raises:
            CaseNotFound: there is none.
        """
        async with self.sessions() as session:
            case = await ModerationStore(session).case(case_id)
        if case is None:
            raise CaseNotFound(case_id)
        return case

    async def queue(self, state: CaseState, asked: Asked) -> Page[Case]:
        """Return the cases in a state, the gravest and then the oldest first."""
        async with self.sessions() as session:
            cases = await ModerationStore(session).queue(
                state, after=_queue_place(state, asked.page_token), count=asked.count + 1
            )
        page = cases[: asked.count]
        token = ""
        if len(cases) > asked.count:
            last = page[-1]
            moment = last.opened_at.isoformat()
            token = encode_page_token(["cases", state, -last.severity, moment, last.id.hex])
        return Page(page, token)

    async def reports(self, reporter_id: uuid.UUID, asked: Asked) -> Page[Report]:
        """Return what a user reported, newest first."""
        async with self.sessions() as session:
            reports = await ModerationStore(session).reports_of(
                reporter_id, after=asked.after_moment("reports"), count=asked.count + 1
            )
        page = reports[: asked.count]
        more = len(reports) > asked.count
        token = moment_token("reports", page[-1].created_at, page[-1].id) if more else ""
        return Page(page, token)


def _queue_place(state: CaseState, token: str) -> QueuePlace | None:
    if not token:
        return None
    match decode_page_token(token):
        case ("cases", of, int(urgency), str(moment), str(text)) if of == state:
            return urgency, datetime.fromisoformat(moment), uuid.UUID(text)
        case _:
            raise InvalidPageToken("page_token is of another list")
