"""Write use cases of a signed-in user about their own account and sessions."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.context import UserPrincipal
from meshkit.errors import IdempotencyKeyReused
from meshkit.idempotency import Call
from meshkit.ids import format_id
from platform_svc.identity import throttle, trail
from platform_svc.identity.account_store import AccountStore
from platform_svc.identity.accounts import Credential, User, check_display_name
from platform_svc.identity.attempts import Attempts, forgive
from platform_svc.identity.code_store import CodeStore
from platform_svc.identity.codes import Purpose
from platform_svc.identity.errand_desk import ErrandDesk
from platform_svc.identity.errand_store import ErrandStore
from platform_svc.identity.errands import ErrandKind
from platform_svc.identity.errors import (
    HashingQueueFull,
    RecentSignInRequired,
    SessionExpired,
    SessionNotFound,
    UserNotFound,
    WrongCredentials,
)
from platform_svc.identity.hashing import PasswordPool
from platform_svc.identity.passwords import check_password
from platform_svc.identity.store import IdentityStore

logger = logging.getLogger(__name__)

# How old a session may be for what a thief of it must not do.
RECENT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class AccountCommands:
    """What users may change about themselves."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    passwords: PasswordPool
    attempts: Attempts
    desk: ErrandDesk

    async def rename(self, user_id: uuid.UUID, display_name: str) -> User:
        """Change how a user is shown.

        Raises:
            InvalidRequest: the name is blank or holds control characters.
            UserNotFound: there is no such user.
        """
        check_display_name(display_name)
        async with self.sessions.begin() as session:
            store = AccountStore(session)
            if await store.lock_user(user_id) is None:
                raise UserNotFound
            await store.rename(user_id, display_name)
            renamed = await store.lock_user(user_id)
            assert renamed is not None, "the row is locked"
            await trail.record(session, renamed, trail.RENAMED, self.ambient)
        return renamed

    async def change_password(
        self, principal: UserPrincipal, current: str, new: str, call: Call[Any]
    ) -> None:
        """Set another password; every other session of the user ends.

        Raises:
            WrongCredentials: the current password is another one.
            WeakPassword: the new one is easy to guess.
            SessionExpired: the caller's session is over.
            IdempotencyKeyReused: the key came with another new password.
            TooManyAttempts: too many passwords were tried.
            HashingQueueFull: too many others wait.
        """
        credential = await self._credential(principal)
        user = credential.user
        check_password(new, email=user.email, display_name=user.display_name)
        subjects = throttle.password_subjects(user.id)
        await self.attempts.count(subjects)
        try:
            is_right = await self.passwords.verify(credential.password_hash, current)
            # A repeat of a call that was answered brings a current password that is none now.
            is_repeat = not is_right and await self.passwords.verify(credential.password_hash, new)
            new_hash = await self.passwords.hash(new) if is_right else ""
        except HashingQueueFull:
            await self.attempts.take_back(subjects)
            raise
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            if await call.earlier(session) is not None:
                if not is_repeat:
                    raise IdempotencyKeyReused("the idempotency key set another password")
            elif not is_right:
                raise WrongCredentials
            else:
                store = AccountStore(session)
                await store.set_password(user.id, new_hash, now=now)
                await store.revoke_sessions(
                    user.id, because="password changed", now=now, but=principal.session_id
                )
                await CodeStore(session).void(user.id, Purpose.RESET_PASSWORD, Purpose.SECOND_STEP)
                self.desk.leave(session, ErrandKind.PASSWORD_CHANGED, user_id=user.id)
                await trail.record(session, user, trail.PASSWORD_CHANGED, self.ambient)
                await call.answer(session, call.response_type())
            await forgive(session, subjects)
        logger.info("password changed", extra={"user_id": str(user.id)})

    async def revoke_session(self, user_id: uuid.UUID, session_id: uuid.UUID) -> None:
        """End one of the user's sessions; harmless if it has ended.

        Raises:
            SessionNotFound: the user has no such session.
        """
        async with self.sessions.begin() as session:
            own = await AccountStore(session).own_session(session_id, user_id)
            user = await IdentityStore(session).user(user_id)
            if own is None or user is None:
                raise SessionNotFound
            if own.revoked_at is not None:
                return
            await IdentityStore(session).revoke_session(
                session_id, because="revoked by the user", now=self.ambient.now()
            )
            revoked = format_id("ses", session_id)
            await trail.record(
                session, user, trail.SESSION_REVOKED, self.ambient, session_id=revoked
            )

    async def delete(self, principal: UserPrincipal) -> None:
        """Erase the user; harmless if it is done.

        Raises:
            RecentSignInRequired: the session is too old.
            SessionExpired: it is over.
        """
        async with self.sessions.begin() as session:
            store = AccountStore(session)
            user = await store.lock_user(principal.user_id)
            if user is None:
                if await store.is_deleted(principal.user_id):
                    return
                raise SessionExpired
            await require_recent(store, principal, self.ambient)
            now = self.ambient.now()
            codes = CodeStore(session)
            await codes.void(user.id)
            await codes.delete_second_step(user.id)
            await ErrandStore(session).delete_of(user.id)
            await store.wipe(user, now=now)
            await store.announce_deleted(user, event_id=self.ambient.new_id(), now=now)
            await trail.record(session, user, trail.DELETED, self.ambient)
            self.desk.leave(
                session,
                ErrandKind.ACCOUNT_DELETED,
                address=user.email,
                display_name=user.display_name,
            )
        logger.info("account deleted", extra={"user_id": str(user.id)})

    async def _credential(self, principal: UserPrincipal) -> Credential:
        async with self.sessions() as session:
            own = await AccountStore(session).own_session(principal.session_id, principal.user_id)
            credential = await IdentityStore(session).credential_of(principal.user_id)
        if own is None or own.is_over(self.ambient.now()) or credential is None:
            raise SessionExpired
        return credential


async def require_recent(store: AccountStore, principal: UserPrincipal, ambient: Ambient) -> None:
    """Check that the caller has signed in lately, by all steps that they have.

    Raises:
        SessionExpired: the session is over.
        RecentSignInRequired: it is too old.
    """
    own = await store.own_session(principal.session_id, principal.user_id)
    if own is None or own.is_over(ambient.now()):
        raise SessionExpired
    if ambient.now() >= own.created_at + RECENT:
        raise RecentSignInRequired(RECENT)
