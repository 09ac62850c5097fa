"""Makes a mutating call with an idempotency key have one effect and one answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Generic, TypeVar

import grpc
import sqlalchemy as sa
from google.protobuf.message import Message
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from meshkit.errors import IdempotencyKeyReused, InvalidRequest, ServiceError
from meshkit.postgres import schema_of

R = TypeVar("R", bound=Message)

KEY_CHARACTERS_MAX: Final = 128
KEPT_FOR: Final = timedelta(hours=24)


class CallInProgress(ServiceError):
    """A call with the same idempotency key has begun and has no answer yet."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ABORTED
    reason: ClassVar[str] = "CALL_IN_PROGRESS"


class IdempotencyKeyMixin:
    """Columns of a service's table of answered calls."""

    __tablename__ = "idempotency_keys"

    scope: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    response: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now(), index=True)


async def claim(
    session: AsyncSession, scope: str, method: str, key: str | None, request: Message
) -> bytes | None:
    """Take the key for this request, or give the serialized answer of the call that has it.

    Must be the first write of the caller's transaction: a concurrent call with the same key then
    waits here until this one has committed, so one effect happens. `scope` is whose key it is,
    such as the organization; without a key nothing is remembered.

    Raises:
        IdempotencyKeyReused: the key came with another request before.
        CallInProgress: the earlier call committed its claim and has not stored an answer.
        InvalidRequest: the key is too long.
    """
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
        raise InvalidRequest(f"an idempotency key has 1 to {KEY_CHARACTERS_MAX} characters")
    table = _table(schema_of(session))
    fingerprint = fingerprint_of(request)
    row = insert(table).values(scope=scope, method=method, key=key, fingerprint=fingerprint)
    taken = row.on_conflict_do_nothing().returning(table.c.key)
    while True:
        if (await session.execute(taken)).first() is not None:
            return None
        earlier = await _lock(session, table, scope, method, key)
        if earlier is None:
            continue  # Its owner took it back between the two statements.
        if earlier.is_over:
            await forget(session, scope, method, key)
            continue
        if earlier.fingerprint != fingerprint:
            raise IdempotencyKeyReused("the idempotency key already names another request")
        if earlier.response is None:
            raise CallInProgress("the call with this idempotency key is still being made")
        return bytes(earlier.response)


async def store(
    session: AsyncSession, scope: str, method: str, key: str | None, response: Message
) -> None:
    """Remember the answer for later calls with the key."""
    if key is None:
        return
    table = _table(schema_of(session))
    await session.execute(
        sa.update(table)
        .where(_is(table, scope, method, key))
        .values(response=response.SerializeToString())
    )


async def forget(session: AsyncSession, scope: str, method: str, key: str | None) -> None:
    """Take a claim back, so that the same key can be tried again."""
    if key is None:
        return
    table = _table(schema_of(session))
    await session.execute(sa.delete(table).where(_is(table, scope, method, key)))


@dataclass(frozen=True, slots=True)
class Call(Generic[R]):
    """One call as `claim` and `store` see it, for commands that know no messages."""

    scope: str
    method: str
    key: str | None
    request: Message
    response_type: type[R]

    async def earlier(self, session: AsyncSession) -> R | None:
        """Claim the key; give the answer if it was given before. Raises as `claim` does."""
        answer = await claim(session, self.scope, self.method, self.key, self.request)
        return None if answer is None else self.response_type.FromString(answer)

    async def answer(self, session: AsyncSession, response: R) -> R:
        """Remember the answer and give it back."""
        await store(session, self.scope, self.method, self.key, response)
        return response


async def sweep(session: AsyncSession) -> int:
    """Delete the keys that are older than 24 hours and say how many there were."""
    table = _table(schema_of(session))
    over = table.c.created_at < sa.func.now() - KEPT_FOR
    deleted = await session.execute(sa.delete(table).where(over).returning(table.c.key))
    return len(deleted.all())


def fingerprint_of(request: Message) -> bytes:
    """Give a digest that differs for requests of other types or contents."""
    name = request.DESCRIPTOR.full_name.encode()
    body = request.SerializeToString(deterministic=True)
    return hashlib.sha256(name + b"\0" + body).digest()


def _table(schema: str) -> sa.TableClause:
    return sa.table(
        "idempotency_keys",
        sa.column("scope", sa.Text),
        sa.column("method", sa.Text),
        sa.column("key", sa.Text),
        sa.column("fingerprint", sa.LargeBinary),
        sa.column("response", sa.LargeBinary),
        sa.column("created_at", sa.DateTime(timezone=True)),
        schema=schema,
    )


async def _lock(
    session: AsyncSession, table: sa.TableClause, scope: str, method: str, key: str
) -> sa.Row[Any] | None:
    is_over = (table.c.created_at < sa.func.now() - KEPT_FOR).label("is_over")
    found = await session.execute(
        sa.select(table.c.fingerprint, table.c.response, is_over)
        .where(_is(table, scope, method, key))
        .with_for_update()
    )
    return found.first()


def _is(table: sa.TableClause, scope: str, method: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.scope == scope, table.c.method == method, table.c.key == key)
