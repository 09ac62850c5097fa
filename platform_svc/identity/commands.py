"""Write use cases of the identity service: each transaction is short, and none spans a hash."""

from __future__ import annotations

import logging
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import IdempotencyKeyReused
from platform_svc.identity import throttle, trail
from platform_svc.identity.accounts import (
    SignUpForm,
    User,
    check_display_name,
    email_key,
)
from platform_svc.identity.attempts import Attempts, forgive
from platform_svc.identity.code_store import CodeStore
from platform_svc.identity.codes import CODE_BYTES, Purpose, mint
from platform_svc.identity.errand_desk import ErrandDesk
from platform_svc.identity.errands import ErrandKind
from platform_svc.identity.errors import (
    EmailTaken,
    HashingQueueFull,
    InvalidRefreshToken,
    RefreshTokenReused,
    SessionExpired,
    WrongCredentials,
)
from platform_svc.identity.hashing import PasswordPool
from platform_svc.identity.issuing import SessionIssuer, SignedIn
from platform_svc.identity.onboarding import Onboarding
from platform_svc.identity.passwords import check_password
from platform_svc.identity.refresh import Device, RefreshToken, Trade, trade
from platform_svc.identity.store import IdentityStore

logger = logging.getLogger(__name__)

NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a right password gives a user with two-step sign-in."""

    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class IdentityCommands:
    """What users may do about their accounts and sessions."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    passwords: PasswordPool
    attempts: Attempts
    desk: ErrandDesk
    issuer: SessionIssuer
    onboarding: Onboarding
    free_sign_ups: int

    async def sign_up(
        self, form: SignUpForm, *, device: Device, idempotency_key: str | None
    ) -> SignedIn:
        """Make a user with a personal organization and open a session.

        A repeated idempotency key opens another session of the same user, who must give the
        same password: tokens are never kept, so they cannot be given again.

        Raises:
            WeakPassword: the password is easy to guess.
            EmailTaken: another user has the address.
            IdempotencyKeyReused: the key came with other details.
            TooManyAttempts: the network has signed up too often.
            HashingQueueFull: too many others wait.
        """
        check_display_name(form.display_name)
        check_password(form.password, email=form.email, display_name=form.display_name)
        subjects = throttle.sign_up_subjects(device.network, free_attempts=self.free_sign_ups)
        await self.attempts.count(subjects)
        password_hash = await self.passwords.hash(form.password)
        now = self.ambient.now()
        user = User(
            id=self.ambient.new_id(),
            email=form.email,
            display_name=form.display_name,
            personal_org_id=self.ambient.new_id(),
            created_at=now,
        )
        async with self.sessions.begin() as session:
            store = IdentityStore(session)
            earlier = await store.claim_sign_up(idempotency_key, form)
            if earlier is None:
                if not await store.add_user(user, password_hash):
                    raise EmailTaken
                await store.announce(user, event_id=self.ambient.new_id())
                await store.answer_sign_up(idempotency_key, user)
                self.desk.leave(session, ErrandKind.VERIFY_EMAIL, user_id=user.id)
                opened = self.issuer.open(store, user, device)
                await trail.record(session, user, trail.SIGNED_UP, self.ambient)
        if earlier is not None:
            return await self._sign_up_again(earlier, form.password, device)
        logger.info("signed up", extra={"user_id": str(user.id)})
        await self.onboarding.welcome(user)
        return self.issuer.signed_in(user, opened)

    async def sign_in(self, email: str, password: str, *, device: Device) -> SignedIn | Challenge:
        """Open a session for a known address and password, or give a challenge instead.

        Raises:
            WrongCredentials: one of the two is wrong.
            TooManyAttempts: the account or the network must wait.
            HashingQueueFull: too many others wait.
        """
        address = email_key(email)
        subjects = throttle.sign_in_subjects(address, device.network)
        await self.attempts.count(subjects)
        async with self.sessions() as session:
            credential = await IdentityStore(session).credential_at(address)
        known_hash = None if credential is None else credential.password_hash
        try:
            is_right = await self.passwords.verify(known_hash, password)
        except HashingQueueFull:
            # Nothing was learned, so nothing was tried.
            await self.attempts.take_back(subjects)
            raise
        if credential is None or not is_right:
            logger.info("refused credentials", extra={"network": device.network})
            raise WrongCredentials
        user = credential.user
        fresh_hash = await self._rehash(credential.password_hash, password)
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            store = IdentityStore(session)
            await forgive(session, subjects)
            if fresh_hash is not None:
                await store.replace_hash(
                    user.id, outdated=credential.password_hash, fresh=fresh_hash, now=now
                )
            if user.two_step_since is not None:
                return self._challenge(session, user)
            opened = self.issuer.open(store, user, device)
            await trail.record(session, user, trail.SIGNED_IN, self.ambient)
        logger.info("signed in", extra={"user_id": str(user.id)})
        return self.issuer.signed_in(user, opened)

    async def refresh_session(self, token_text: str) -> SignedIn:
        """Trade a refresh token for a new pair.

        Raises:
            InvalidRefreshToken: it is none of ours.
            SessionExpired: its session is over, or its user is disabled.
            RefreshTokenReused: it was traded before; the session has been ended now.
        """
        token = RefreshToken.parse(token_text)
        async with self.sessions.begin() as session:
            traded = await self._trade(IdentityStore(session), token)
        if traded is None:
            # Raised only here: the end of the session had to be committed first.
            logger.warning("refresh token reused", extra={"session_id": str(token.session_id)})
            raise RefreshTokenReused
        return self.issuer.signed_in(*traded)

    async def _trade(self, store: IdentityStore, token: RefreshToken) -> tuple[User, Trade] | None:
        """Trade within the caller's transaction; None if it ended the session instead."""
        now = self.ambient.now()
        # The lock orders two trades of one token: the second sees what the first has done.
        session = await store.lock_session(token.session_id)
        if session is None:
            raise InvalidRefreshToken
        try:
            traded = trade(session, token, nonce=secrets.token_bytes(NONCE_BYTES), now=now)
        except RefreshTokenReused:
            await store.revoke_session(session.id, because="refresh token reused", now=now)
            return None
        user = await store.user(session.user_id)
        if user is None:
            raise SessionExpired
        await store.save_session(traded.session)
        return user, traded

    async def sign_out(self, session_id: uuid.UUID) -> None:
        """End a session; harmless if it has ended."""
        async with self.sessions.begin() as session:
            await IdentityStore(session).revoke_session(
                session_id, because="signed out", now=self.ambient.now()
            )

    async def _sign_up_again(self, user_id: uuid.UUID, password: str, device: Device) -> SignedIn:
        async with self.sessions() as session:
            credential = await IdentityStore(session).credential_of(user_id)
        known_hash = None if credential is None else credential.password_hash
        if not await self.passwords.verify(known_hash, password) or credential is None:
            raise IdempotencyKeyReused("the idempotency key was used to sign up otherwise")
        if credential.user.two_step_since is not None:
            # Tokens are only given for all steps; a repeat this late is no lost reply.
            raise IdempotencyKeyReused("the user who signed up with this key signs in by two steps")
        await self.onboarding.welcome(credential.user)
        async with self.sessions.begin() as session:
            opened = self.issuer.open(IdentityStore(session), credential.user, device)
            await trail.record(session, credential.user, trail.SIGNED_IN, self.ambient)
        return self.issuer.signed_in(credential.user, opened)

    async def _rehash(self, password_hash: str, password: str) -> str | None:
        if not self.passwords.is_outdated(password_hash):
            return None
        try:
            return await self.passwords.hash(password)
        except HashingQueueFull:
            return None  # The next sign-in does it.

    def _challenge(self, session: AsyncSession, user: User) -> Challenge:
        code, text = mint(
            Purpose.SECOND_STEP,
            user.id,
            code_id=self.ambient.new_id(),
            random=secrets.token_bytes(CODE_BYTES),
            now=self.ambient.now(),
        )
        CodeStore(session).add(code)
        return Challenge(text, code.expires_at)
