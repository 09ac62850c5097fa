"""All SQL of the identity service, with the events and remembered answers that go with it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from reelmesh.platform.identity.v1 import identity_events_pb2 as events
from reelmesh.platform.identity.v1 import identity_service_pb2 as pb
from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit import idempotency
from meshkit.ids import format_id, parse_id
from meshkit.outbox import add_event
from platform_svc.identity.accounts import Credential, SignUpForm, User, email_key
from platform_svc.identity.refresh import Session
from platform_svc.identity.tables import AttemptRow, PasswordRow, SessionRow, UserRow
from platform_svc.identity.throttle import Tally

USER_SIGNED_UP = "reelmesh.platform.identity.user_signed_up"
# Callers who are nobody yet are told apart by the address that they sign up.
ANONYMOUS_SCOPE = "anonymous"
SIGN_UP_METHOD = "SignUp"
SESSION_COLUMNS = (
    "id",
    "user_id",
    "org_id",
    "created_at",
    "last_used_at",
    "expires_at",
    "revoked_at",
    "counter",
    "token_digest",
    "previous_digest",
    "nonce",
    "rotated_at",
    "tag_key",
    "user_agent",
    "network",
)


@dataclass(frozen=True, slots=True)
class IdentityStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def add_user(self, user: User, password_hash: str) -> bool:
        """Keep a new user; False if the address is taken."""
        added = await self.session.scalar(
            insert(UserRow)
            .values(
                id=user.id,
                email=user.email,
                email_key=email_key(user.email),
                display_name=user.display_name,
                personal_org_id=user.personal_org_id,
                created_at=user.created_at,
            )
            .on_conflict_do_nothing(index_elements=[UserRow.email_key])
            .returning(UserRow.id)
        )
        if added is None:
            return False
        self.session.add(
            PasswordRow(user_id=user.id, hash=password_hash, changed_at=user.created_at)
        )
        return True

    async def announce(self, user: User, *, event_id: uuid.UUID) -> None:
        """Tell other services that the user has signed up."""
        message = events.UserSignedUp(
            user_id=format_id("usr", user.id),
            personal_org_id=format_id("org", user.personal_org_id),
            display_name=user.display_name,
        )
        await add_event(
            self.session, USER_SIGNED_UP, message, event_id=event_id, now=user.created_at
        )

    async def claim_sign_up(self, key: str | None, form: SignUpForm) -> uuid.UUID | None:
        """Take the idempotency key, or give the user whom the call that has it made.

        The password stays out of the remembered fingerprint, which a fast hash would give away;
        whoever repeats a call proves the password against its argon2 hash.
        """
        request = pb.SignUpRequest(email=email_key(form.email), display_name=form.display_name)
        scope = _sign_up_scope(form.email)
        earlier = await idempotency.claim(self.session, scope, SIGN_UP_METHOD, key, request)
        if earlier is None:
            return None
        return parse_id("usr", pb.User.FromString(earlier).user_id, field="user_id")

    async def answer_sign_up(self, key: str | None, user: User) -> None:
        """Remember whom the call with this key has made."""
        answer = pb.User(user_id=format_id("usr", user.id))
        scope = _sign_up_scope(user.email)
        await idempotency.store(self.session, scope, SIGN_UP_METHOD, key, answer)

    async def user(self, user_id: uuid.UUID) -> User | None:
        """Return an enabled user."""
        row = await self.session.get(UserRow, user_id)
        return None if row is None or row.disabled_at is not None else user_of(row)

    async def credential_at(self, address: str) -> Credential | None:
        """Return the enabled user with this address as it is compared, and their password."""
        return await self._credential(UserRow.email_key == address)

    async def credential_of(self, user_id: uuid.UUID) -> Credential | None:
        """Return an enabled user and their password."""
        return await self._credential(UserRow.id == user_id)

    async def replace_hash(
        self, user_id: uuid.UUID, *, outdated: str, fresh: str, now: datetime
    ) -> None:
        """Keep a new hash of the same password, unless it was changed meanwhile."""
        await self.session.execute(
            update(PasswordRow)
            .where(PasswordRow.user_id == user_id, PasswordRow.hash == outdated)
            .values(hash=fresh, changed_at=now)
        )

    def add_session(self, session: Session) -> None:
        """Keep a new session."""
        self.session.add(SessionRow(**asdict(session)))

    async def lock_session(self, session_id: uuid.UUID) -> Session | None:
        """Return a session, holding its row lock until the transaction ends."""
        row = await self.session.get(SessionRow, session_id, with_for_update=True)
        if row is None:
            return None
        return Session(**{name: getattr(row, name) for name in SESSION_COLUMNS})

    async def save_session(self, session: Session) -> None:
        """Keep a session as it is after a trade."""
        await self.session.execute(
            update(SessionRow).where(SessionRow.id == session.id).values(**asdict(session))
        )

    async def revoke_session(self, session_id: uuid.UUID, *, because: str, now: datetime) -> bool:
        """End a session; False if it has ended before or never was."""
        revoked = await self.session.scalar(
            update(SessionRow)
            .where(SessionRow.id == session_id, SessionRow.revoked_at.is_(None))
            .values(revoked_at=now, revoked_because=because, nonce=None)
            .returning(SessionRow.id)
        )
        return revoked is not None

    async def lock_tallies(self, subjects: Iterable[str]) -> dict[str, Tally]:
        """Return what is remembered of the subjects, holding their row locks."""
        # One order for all callers, so that two of them cannot wait for each other. The update
        # changes nothing: it takes the lock of a row that is there.
        statement = insert(AttemptRow).values([{"subject": key} for key in sorted(subjects)])
        rows = await self.session.scalars(
            statement.on_conflict_do_update(
                index_elements=[AttemptRow.subject],
                set_={"subject": statement.excluded.subject},
            ).returning(AttemptRow),
            execution_options={"populate_existing": True},
        )
        return {row.subject: Tally(row.attempts, row.last_at, row.blocked_until) for row in rows}

    async def save_tallies(self, tallies: Mapping[str, Tally]) -> None:
        """Keep what is remembered of locked subjects."""
        statement = insert(AttemptRow).values(
            [{"subject": subject, **asdict(tally)} for subject, tally in tallies.items()]
        )
        columns = ("attempts", "last_at", "blocked_until")
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=[AttemptRow.subject],
                set_={name: statement.excluded[name] for name in columns},
            )
        )

    async def delete_tallies(self, *, before: datetime) -> None:
        """Forget subjects without an attempt since then."""
        is_old = or_(AttemptRow.last_at < before, AttemptRow.last_at.is_(None))
        await self.session.execute(delete(AttemptRow).where(is_old))

    async def delete_sessions(self, *, before: datetime) -> None:
        """Forget sessions whose greatest age was reached before then."""
        await self.session.execute(delete(SessionRow).where(SessionRow.expires_at < before))

    async def _credential(self, condition: ColumnElement[bool]) -> Credential | None:
        found = await self.session.execute(
            select(UserRow, PasswordRow.hash)
            .join(PasswordRow, PasswordRow.user_id == UserRow.id)
            .where(UserRow.disabled_at.is_(None), condition)
        )
        row = found.one_or_none()
        return None if row is None else Credential(user_of(row[0]), row[1])


def user_of(row: UserRow) -> User:
    """Read a row."""
    return User(
        id=row.id,
        email=row.email,
        display_name=row.display_name,
        personal_org_id=row.personal_org_id,
        created_at=row.created_at,
        email_verified_at=row.email_verified_at,
        two_step_since=row.two_step_since,
    )


def _sign_up_scope(email: str) -> str:
    """Return whose key a sign-up carries: strangers with the same key do not meet."""
    return f"{ANONYMOUS_SCOPE}:{hashlib.sha256(email_key(email).encode()).hexdigest()}"
