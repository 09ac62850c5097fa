"""SQL of what a user changes about their account, and of the list of their sessions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reelmesh.platform.identity.v1 import identity_events_pb2 as events
from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.ids import format_id
from meshkit.outbox import add_event
from platform_svc.identity.accounts import User
from platform_svc.identity.refresh import IDLE_MAX, Session
from platform_svc.identity.store import SESSION_COLUMNS, user_of
from platform_svc.identity.tables import PasswordRow, SessionRow, UserRow

USER_DELETED = "reelmesh.platform.identity.user_deleted"


@dataclass(frozen=True, slots=True)
class AccountStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def lock_user(self, user_id: uuid.UUID) -> User | None:
        """Return an enabled user, holding their row lock until the transaction ends."""
        row = await self.session.get(UserRow, user_id, with_for_update=True, populate_existing=True)
        return None if row is None or row.disabled_at is not None else user_of(row)

    async def is_deleted(self, user_id: uuid.UUID) -> bool:
        """Whether the user was deleted."""
        query = select(UserRow.deleted_at).where(UserRow.id == user_id)
        return await self.session.scalar(query) is not None

    async def rename(self, user_id: uuid.UUID, display_name: str) -> None:
        """Keep a user's new name."""
        await self._update(user_id, display_name=display_name)

    async def mark_verified(self, user_id: uuid.UUID, *, now: datetime) -> None:
        """Note that the user receives mail at their address."""
        await self.session.execute(
            update(UserRow)
            .where(UserRow.id == user_id, UserRow.email_verified_at.is_(None))
            .values(email_verified_at=now)
        )

    async def mark_two_step(self, user_id: uuid.UUID, since: datetime | None) -> None:
        """Note that the user signs in by two steps since then, or does not."""
        await self._update(user_id, two_step_since=since)

    async def set_password(self, user_id: uuid.UUID, password_hash: str, *, now: datetime) -> None:
        """Keep the hash of a new password."""
        statement = insert(PasswordRow).values(user_id=user_id, hash=password_hash, changed_at=now)
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=[PasswordRow.user_id],
                set_={"hash": statement.excluded.hash, "changed_at": now},
            )
        )

    async def password_changed_at(self, user_id: uuid.UUID) -> datetime | None:
        """Return when the user's password was set."""
        changed_at: datetime | None = await self.session.scalar(
            select(PasswordRow.changed_at).where(PasswordRow.user_id == user_id)
        )
        return changed_at

    async def own_session(self, session_id: uuid.UUID, user_id: uuid.UUID) -> Session | None:
        """Return a session if it is the user's."""
        row = await self.session.scalar(
            select(SessionRow).where(SessionRow.id == session_id, SessionRow.user_id == user_id)
        )
        return None if row is None else _session(row)

    async def live_sessions(
        self,
        user_id: uuid.UUID,
        *,
        now: datetime,
        before: tuple[datetime, uuid.UUID] | None,
        count: int,
    ) -> Sequence[Session]:
        """Return up to `count` of the user's sessions that are not over, newest first."""
        place = (SessionRow.created_at, SessionRow.id)
        query = (
            select(SessionRow)
            .where(
                SessionRow.user_id == user_id,
                SessionRow.revoked_at.is_(None),
                SessionRow.expires_at > now,
                SessionRow.last_used_at > now - IDLE_MAX,
            )
            .order_by(*(column.desc() for column in place))
            .limit(count)
        )
        if before is not None:
            query = query.where(tuple_(*place) < tuple_(*before))
        return [_session(row) for row in await self.session.scalars(query)]

    async def revoke_sessions(
        self, user_id: uuid.UUID, *, because: str, now: datetime, but: uuid.UUID | None = None
    ) -> None:
        """End all of a user's sessions, but one if it is named."""
        statement = update(SessionRow).where(
            SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None)
        )
        if but is not None:
            statement = statement.where(SessionRow.id != but)
        await self.session.execute(
            statement.values(revoked_at=now, revoked_because=because, nonce=None)
        )

    async def wipe(self, user: User, *, now: datetime) -> None:
        """Erase who the user was; the row stays, so that its id is never anybody else's."""
        for table in (PasswordRow, SessionRow):
            await self.session.execute(delete(table).where(table.user_id == user.id))
        await self._update(
            user.id,
            email="",
            email_key=f"deleted:{user.id}",
            display_name="",
            disabled_at=now,
            deleted_at=now,
            email_verified_at=None,
            two_step_since=None,
        )

    async def announce_deleted(self, user: User, *, event_id: uuid.UUID, now: datetime) -> None:
        """Tell other services that the user is gone."""
        message = events.UserDeleted(
            user_id=format_id("usr", user.id),
            personal_org_id=format_id("org", user.personal_org_id),
        )
        await add_event(self.session, USER_DELETED, message, event_id=event_id, now=now)

    async def _update(self, user_id: uuid.UUID, **values: object) -> None:
        await self.session.execute(update(UserRow).where(UserRow.id == user_id).values(**values))


def _session(row: SessionRow) -> Session:
    return Session(**{name: getattr(row, name) for name in SESSION_COLUMNS})
