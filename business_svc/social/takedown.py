"""What follows from a decision for its subject; reads judge by it from the commit on."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from business_svc.social.announcements import TAKEN_DOWN, Announcements
from business_svc.social.counting_store import POST, CountingStore
from business_svc.social.moderation import CaseState, Subject, SubjectKind
from business_svc.social.post import State
from business_svc.social.post_store import PostStore
from business_svc.social.profile import ProfileState
from business_svc.social.profile_store import ProfileStore
from business_svc.social.reaction_store import ReactionStore
from meshkit.clock import Ambient


async def apply(
    session: AsyncSession, ambient: Ambient, subject: Subject, result: CaseState
) -> None:
    """Hide or show the subject of a case in the caller's transaction; a dismissal changes none."""
    if result is CaseState.DISMISSED:
        return
    hidden = result is CaseState.TAKEN_DOWN
    match subject.kind:
        case SubjectKind.POST:
            await _post(session, ambient, subject, hidden=hidden)
        case SubjectKind.COMMENT:
            state = State.TAKEN_DOWN if hidden else State.PUBLISHED
            post_id = await ReactionStore(session).set_comment_state(subject.id, state)
            if post_id is not None:
                await CountingStore(session).touch(POST, [post_id])
        case SubjectKind.PROFILE:
            state_of_profile = ProfileState.SUSPENDED if hidden else ProfileState.ACTIVE
            await ProfileStore(session).set_state(subject.id, state_of_profile)


async def _post(session: AsyncSession, ambient: Ambient, subject: Subject, *, hidden: bool) -> None:
    state = State.TAKEN_DOWN if hidden else State.PUBLISHED
    if not await PostStore(session).set_state(subject.id, state):
        return  # Its author deleted it.
    await CountingStore(session).touch_post(subject.id, subject.owner_id)
    announcements = Announcements(session, ambient)
    if hidden:
        await announcements.removed(subject.id, subject.owner_id, TAKEN_DOWN)
    else:
        await announcements.restored(subject.id, subject.owner_id)
