"""Write use cases of the second step: enrol an authenticator, confirm it, turn it off, use it."""

from __future__ import annotations

import json
import logging
import secrets
import uuid
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.context import UserPrincipal
from meshkit.sealing import Sealer
from platform_svc.identity import throttle, trail
from platform_svc.identity.account_commands import require_recent
from platform_svc.identity.account_store import AccountStore
from platform_svc.identity.accounts import User
from platform_svc.identity.attempts import Attempts, forgive
from platform_svc.identity.code_store import CodeStore, Totp
from platform_svc.identity.codes import Purpose
from platform_svc.identity.errand_desk import ErrandDesk
from platform_svc.identity.errands import ErrandKind
from platform_svc.identity.errors import (
    InvalidChallenge,
    NoEnrolment,
    SessionExpired,
    TwoStepEnabled,
    WrongSecondStep,
)
from platform_svc.identity.issuing import SessionIssuer, SignedIn
from platform_svc.identity.refresh import Device
from platform_svc.identity.store import IdentityStore
from platform_svc.identity.two_step import (
    ENROLMENT_LIFETIME,
    RECOVERY_CODE_BYTES,
    RECOVERY_CODES,
    SECRET_BYTES,
    Enrolment,
    matching_step,
    new_enrolment,
    recovery_digest,
)

logger = logging.getLogger(__name__)

ENROLMENT_RANDOM_BYTES = SECRET_BYTES + RECOVERY_CODES * RECOVERY_CODE_BYTES


@dataclass(frozen=True, slots=True)
class TwoStepCommands:
    """What may be done about the second step."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    attempts: Attempts
    desk: ErrandDesk
    issuer: SessionIssuer
    sealer: Sealer

    async def enrol(self, principal: UserPrincipal) -> tuple[User, Enrolment]:
        """Begin an enrolment, or give the one that was begun in the last 15 minutes.

        Raises:
            TwoStepEnabled: there is a confirmed authenticator.
            RecentSignInRequired: the session is too old.
            SessionExpired: it is over.
        """
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            accounts, codes = AccountStore(session), CodeStore(session)
            user = await self._recent_user(accounts, principal)
            totp = await codes.lock_totp(user.id)
            if totp is not None and totp.confirmed_at is not None:
                raise TwoStepEnabled
            if totp is not None and now < totp.created_at + ENROLMENT_LIFETIME:
                return user, self._opened(user.id, totp)
            enrolment = new_enrolment(secrets.token_bytes(ENROLMENT_RANDOM_BYTES))
            sealed = self._sealed(user.id, enrolment)
            await codes.save_totp(user.id, Totp(sealed, now, None, None))
        return user, enrolment

    async def confirm(self, principal: UserPrincipal, code: str) -> None:
        """Turn the second step on by a code of the new authenticator; other sessions end.

        The same code again is harmless.

        Raises:
            NoEnrolment: none was begun, or it has ended.
            WrongSecondStep: the code is wrong.
            TwoStepEnabled: it is on, by another code.
            RecentSignInRequired, SessionExpired: as in `enrol`.
        """
        subjects = throttle.second_step_subjects(principal.user_id)
        await self.attempts.count(subjects)
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            accounts, codes = AccountStore(session), CodeStore(session)
            user = await self._recent_user(accounts, principal)
            totp = await codes.lock_totp(user.id)
            if totp is None:
                raise NoEnrolment
            enrolment = self._opened(user.id, totp)
            step = matching_step(enrolment.secret, code, now=now, after_step=None)
            if totp.confirmed_at is not None:
                if step is None or step != totp.last_step:
                    raise TwoStepEnabled
                return
            if now >= totp.created_at + ENROLMENT_LIFETIME:
                raise NoEnrolment
            if step is None:
                raise WrongSecondStep
            # The recovery codes leave the sealed text: from now on only digests are kept.
            sealed = self._sealed(user.id, replace(enrolment, recovery_codes=()))
            await codes.save_totp(user.id, Totp(sealed, totp.created_at, now, step))
            await codes.add_recovery_codes(
                user.id, [recovery_digest(user.id, one) for one in enrolment.recovery_codes]
            )
            await accounts.mark_two_step(user.id, now)
            await accounts.revoke_sessions(
                user.id, because="two-step sign-in enabled", now=now, but=principal.session_id
            )
            self.desk.leave(session, ErrandKind.TWO_STEP_ENABLED, user_id=user.id)
            await trail.record(session, user, trail.TWO_STEP_ENABLED, self.ambient)
            await forgive(session, subjects)
        logger.info("two-step sign-in enabled", extra={"user_id": str(user.id)})

    async def disable(self, principal: UserPrincipal) -> None:
        """Turn the second step off; harmless if it is off.

        Raises:
            RecentSignInRequired, SessionExpired: as in `enrol`.
        """
        async with self.sessions.begin() as session:
            accounts = AccountStore(session)
            user = await self._recent_user(accounts, principal)
            await CodeStore(session).delete_second_step(user.id)
            if user.two_step_since is None:
                return
            await accounts.mark_two_step(user.id, None)
            self.desk.leave(session, ErrandKind.TWO_STEP_DISABLED, user_id=user.id)
            await trail.record(session, user, trail.TWO_STEP_DISABLED, self.ambient)
        logger.info("two-step sign-in disabled", extra={"user_id": str(user.id)})

    async def complete_sign_in(self, challenge: str, code: str, *, device: Device) -> SignedIn:
        """Open the session that a right password has promised.

        Raises:
            InvalidChallenge: it is unknown, used or too old.
            WrongSecondStep: the code is wrong or was used before; the challenge stays good.
            TooManyAttempts: too many codes were tried for this user.
        """
        now = self.ambient.now()
        async with self.sessions() as session:
            user_id = await CodeStore(session).holder(Purpose.SECOND_STEP, challenge, now=now)
        if user_id is None:
            raise InvalidChallenge
        subjects = throttle.second_step_subjects(user_id)
        await self.attempts.count(subjects)
        async with self.sessions.begin() as session:
            user = await AccountStore(session).lock_user(user_id)
            if user is None:
                raise InvalidChallenge
            if not await self._accepts(CodeStore(session), user_id, code):
                raise WrongSecondStep
            redeemed = await CodeStore(session).redeem(Purpose.SECOND_STEP, challenge, now=now)
            if redeemed is None:
                raise InvalidChallenge
            await forgive(session, subjects)
            opened = self.issuer.open(IdentityStore(session), user, device)
            await trail.record(session, user, trail.SIGNED_IN, self.ambient, steps="2")
        logger.info("signed in by two steps", extra={"user_id": str(user_id)})
        return self.issuer.signed_in(user, opened)

    async def _accepts(self, codes: CodeStore, user_id: uuid.UUID, code: str) -> bool:
        """Use a code up, of the authenticator or for recovery."""
        totp = await codes.lock_totp(user_id)
        if totp is None or totp.confirmed_at is None:
            return False
        secret = self._opened(user_id, totp).secret
        step = matching_step(secret, code, now=self.ambient.now(), after_step=totp.last_step)
        if step is not None:
            await codes.save_totp(user_id, replace(totp, last_step=step))
            return True
        return await codes.use_recovery_code(user_id, recovery_digest(user_id, code))

    async def _recent_user(self, store: AccountStore, principal: UserPrincipal) -> User:
        user = await store.lock_user(principal.user_id)
        if user is None:
            raise SessionExpired
        await require_recent(store, principal, self.ambient)
        return user

    def _sealed(self, user_id: uuid.UUID, enrolment: Enrolment) -> bytes:
        plain = json.dumps([enrolment.secret, *enrolment.recovery_codes]).encode()
        return self.sealer.seal(plain, context=_context(user_id))

    def _opened(self, user_id: uuid.UUID, totp: Totp) -> Enrolment:
        secret, *recovery_codes = json.loads(
            self.sealer.open(totp.sealed, context=_context(user_id))
        )
        return Enrolment(secret, tuple(recovery_codes))


def _context(user_id: uuid.UUID) -> str:
    return f"totp:{user_id}"
