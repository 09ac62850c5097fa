"""Write use cases around mailed codes: verify an address, reset a forgotten password."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.idempotency import Call
from platform_svc.identity import throttle, trail
from platform_svc.identity.account_store import AccountStore
from platform_svc.identity.accounts import email_key
from platform_svc.identity.attempts import Attempts, forgive
from platform_svc.identity.code_store import CodeStore
from platform_svc.identity.codes import Purpose
from platform_svc.identity.errand_desk import ErrandDesk
from platform_svc.identity.errands import ErrandKind
from platform_svc.identity.errors import InvalidCode, UserNotFound
from platform_svc.identity.hashing import PasswordPool
from platform_svc.identity.passwords import check_password
from platform_svc.identity.store import IdentityStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecoveryCommands:
    """What mailed codes are asked for and used for."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    passwords: PasswordPool
    attempts: Attempts
    desk: ErrandDesk

    async def request_verification(self, user_id: uuid.UUID, *, network: str) -> None:
        """Owe a user a mail with a code; nothing if the address is verified.

        Raises:
            UserNotFound: there is none, or they are disabled.
            TooManyAttempts: too many mails were asked for.
        """
        async with self.sessions() as session:
            user = await IdentityStore(session).user(user_id)
        if user is None:
            raise UserNotFound
        if user.email_verified_at is not None:
            return
        await self.attempts.count(throttle.mail_subjects(email_key(user.email), network))
        async with self.sessions.begin() as session:
            self.desk.leave(session, ErrandKind.VERIFY_EMAIL, user_id=user_id)

    async def verify_email(self, code: str, call: Call[Any], *, network: str) -> None:
        """Use a mailed code up: its user receives mail at their address.

        Raises:
            InvalidCode: it is not good.
            TooManyAttempts: the network tried too many codes.
        """
        subjects = throttle.code_subjects(network)
        await self.attempts.count(subjects)
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is None:
                user_id = await CodeStore(session).redeem(Purpose.VERIFY_EMAIL, code, now=now)
                if user_id is None:
                    raise InvalidCode
                await AccountStore(session).mark_verified(user_id, now=now)
                user = await IdentityStore(session).user(user_id)
                if user is not None:
                    await trail.record(session, user, trail.EMAIL_VERIFIED, self.ambient)
                await call.answer(session, call.response_type())
            await forgive(session, subjects)

    async def request_password_reset(self, email: str, *, network: str) -> None:
        """Owe whoever has the address a mail with a code.

        Whether anybody has it is looked up later, elsewhere, so that neither the answer nor the
        time it takes tells.

        Raises:
            TooManyAttempts: too many mails were asked for.
        """
        address = email_key(email)
        await self.attempts.count(throttle.mail_subjects(address, network))
        async with self.sessions.begin() as session:
            self.desk.leave(session, ErrandKind.RESET_PASSWORD, address=address)

    async def reset_password(
        self, code: str, password: str, call: Call[Any], *, network: str
    ) -> None:
        """Use a mailed code up to set a new password; every session of its user ends.

        Raises:
            InvalidCode: the code is not good.
            WeakPassword: the password is easy to guess; the code stays good.
            TooManyAttempts: the network tried too many codes.
            HashingQueueFull: too many others wait.
        """
        subjects = throttle.code_subjects(network)
        await self.attempts.count(subjects)
        password_hash = await self._new_hash(code, password)
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is None:
                codes, accounts = CodeStore(session), AccountStore(session)
                user_id = await codes.redeem(Purpose.RESET_PASSWORD, code, now=now)
                if user_id is None or password_hash is None:
                    raise InvalidCode
                await accounts.set_password(user_id, password_hash, now=now)
                # Who reads the mails of the address has it.
                await accounts.mark_verified(user_id, now=now)
                await accounts.revoke_sessions(user_id, because="password reset", now=now)
                await codes.void(user_id, Purpose.SECOND_STEP)
                self.desk.leave(session, ErrandKind.PASSWORD_CHANGED, user_id=user_id)
                user = await IdentityStore(session).user(user_id)
                if user is not None:
                    await trail.record(session, user, trail.PASSWORD_RESET, self.ambient)
                await call.answer(session, call.response_type())
                logger.info("password reset", extra={"user_id": str(user_id)})
            await forgive(session, subjects)

    async def _new_hash(self, code: str, password: str) -> str | None:
        """Hash a good password, if the code is good."""
        async with self.sessions() as session:
            now = self.ambient.now()
            user_id = await CodeStore(session).holder(Purpose.RESET_PASSWORD, code, now=now)
            user = None if user_id is None else await IdentityStore(session).user(user_id)
        if user is None:
            return None
        check_password(password, email=user.email, display_name=user.display_name)
        return await self.passwords.hash(password)
