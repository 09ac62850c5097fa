"""Read use cases of a signed-in user about their own account and sessions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.context import UserPrincipal
from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.identity.account_commands import require_recent
from platform_svc.identity.account_store import AccountStore
from platform_svc.identity.accounts import User
from platform_svc.identity.code_store import CodeStore
from platform_svc.identity.errors import SessionExpired
from platform_svc.identity.refresh import Session
from platform_svc.identity.store import IdentityStore

PAGE_SIZE_DEFAULT = 50
EXPORTED_SESSIONS_MAX = 100


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some sessions, newest first; `next_page_token` is empty on the last page."""

    sessions: Sequence[Session]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class Export:
    """What is kept about a user, without what is secret."""

    user: User
    sessions: Sequence[Session]
    password_changed_at: datetime | None
    recovery_codes_left: int
    exported_at: datetime


@dataclass(frozen=True, slots=True)
class AccountQueries:
    """What users may ask about themselves."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def live_sessions(
        self, user_id: uuid.UUID, *, page_size: int, page_token: str
    ) -> SessionPage:
        """Give one page of a user's sessions that are not over; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            found = await AccountStore(session).live_sessions(
                user_id, now=self.ambient.now(), before=_place(page_token), count=count + 1
            )
        page = found[:count]
        token = ""
        if len(found) > count:
            last = page[-1]
            token = encode_page_token(["sessions", last.created_at.isoformat(), str(last.id)])
        return SessionPage(page, token)

    async def export(self, principal: UserPrincipal) -> Export:
        """Give everything that is kept about a user.

        Raises:
            RecentSignInRequired: the session is too old.
            SessionExpired: it is over.
        """
        now = self.ambient.now()
        async with self.sessions() as session:
            accounts = AccountStore(session)
            await require_recent(accounts, principal, self.ambient)
            user = await IdentityStore(session).user(principal.user_id)
            if user is None:
                raise SessionExpired
            return Export(
                user=user,
                sessions=await accounts.live_sessions(
                    user.id, now=now, before=None, count=EXPORTED_SESSIONS_MAX
                ),
                password_changed_at=await accounts.password_changed_at(user.id),
                recovery_codes_left=await CodeStore(session).count_recovery_codes(user.id),
                exported_at=now,
            )


def _place(page_token: str) -> tuple[datetime, uuid.UUID] | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("sessions", str(created_at), str(session_id)):
            return datetime.fromisoformat(created_at), uuid.UUID(session_id)
        case _:
            raise InvalidPageToken("page_token is of another list")
