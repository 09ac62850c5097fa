"""Write use cases of moderation: each method is one transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.social.errors import (
    CaseNotFound,
    CommentNotFound,
    OwnProfile,
    PostNotFound,
    TooManyReports,
)
from business_svc.social.moderation import (
    OPENED,
    REOPENED,
    Case,
    CaseEvent,
    CaseState,
    Complaint,
    Decision,
    Report,
    Subject,
    SubjectKind,
    decide,
)
from business_svc.social.moderation_store import ModerationStore
from business_svc.social.post import HOUR, REPORTS_PER_HOUR_MAX, State
from business_svc.social.profile_queries import seen_profile
from business_svc.social.profile_store import ProfileStore
from business_svc.social.reaction_store import ReactionStore
from business_svc.social.takedown import apply
from business_svc.social.view_store import ViewStore
from meshkit.clock import Ambient


@dataclass(frozen=True, slots=True)
class ModerationCommands:
    """What users may report and operators may decide."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def report_post(self, post_id: uuid.UUID, complaint: Complaint) -> Report:
        """Report a post; a second report of the same user changes nothing.

        Raises:
            PostNotFound: the reporter may not see such a post.
            ProfileMissing: the reporter has no profile.
            ProfileSuspended: it is suspended.
            TooManyReports: the reporter has reported as often as one may in an hour.
        """
        async with self.sessions.begin() as session:
            view = await ViewStore(session, complaint.reporter_id).find(post_id)
            if view is None:
                raise PostNotFound(post_id)
            subject = Subject(SubjectKind.POST, post_id, view.post.author_id)
            return await self._report(session, subject, complaint)

    async def report_comment(
        self, post_id: uuid.UUID, comment_id: uuid.UUID, complaint: Complaint
    ) -> Report:
        """Report a comment. Raises as `report_post` does, and `CommentNotFound`."""
        async with self.sessions.begin() as session:
            view = await ViewStore(session, complaint.reporter_id).find(post_id)
            found = await ReactionStore(session).comment(post_id, comment_id)
            if view is None or found is None or found[1] is not State.PUBLISHED:
                raise CommentNotFound(comment_id)
            subject = Subject(SubjectKind.COMMENT, comment_id, found[0])
            return await self._report(session, subject, complaint)

    async def report_profile(self, handle: str, complaint: Complaint) -> Report:
        """Report a profile. Raises as `report_post` does, `ProfileNotFound` and `OwnProfile`."""
        async with self.sessions.begin() as session:
            profile = await seen_profile(session, handle, complaint.reporter_id)
            if profile.user_id == complaint.reporter_id:
                raise OwnProfile
            subject = Subject(SubjectKind.PROFILE, profile.user_id, profile.user_id)
            return await self._report(session, subject, complaint)

    async def decide(
        self, case_id: uuid.UUID, decision: Decision, operator_id: uuid.UUID, note: str
    ) -> Case:
        """Decide a case, with all that follows from it; may be repeated.

        Raises:
            CaseNotFound: there is no such case.
            DecisionNotPossible: its state does not admit the decision.
        """
        async with self.sessions.begin() as session:
            store = ModerationStore(session)
            case = await store.lock_case(case_id)
            if case is None:
                raise CaseNotFound(case_id)
            result = decide(case.state, decision)
            if result is not None:
                await store.set_state(case_id, result)
                event = CaseEvent(decision, operator_id, note, self.ambient.now())
                await store.add_event(case_id, event)
                await apply(session, self.ambient, case.subject, result)
        async with self.sessions() as session:
            decided = await ModerationStore(session).case(case_id)
        assert decided is not None, case_id
        return decided

    async def _report(
        self, session: AsyncSession, subject: Subject, complaint: Complaint
    ) -> Report:
        now = self.ambient.now()
        await ProfileStore(session).acting(complaint.reporter_id, lock=True)
        store = ModerationStore(session)
        new_id = self.ambient.new_id()
        case = await store.open_case(subject, case_id=new_id, now=now)
        earlier = await store.report_by(complaint.reporter_id, case)
        if earlier is not None:
            return earlier
        if await store.reported_since(complaint.reporter_id, now - HOUR) >= REPORTS_PER_HOUR_MAX:
            raise TooManyReports
        if case.id == new_id:
            await store.add_event(case.id, CaseEvent(OPENED, None, "", now))
        elif case.state is not CaseState.OPEN:
            await store.add_event(case.id, CaseEvent(REOPENED, None, "", now))
        return await store.add_report(case, complaint, report_id=self.ambient.new_id(), now=now)
