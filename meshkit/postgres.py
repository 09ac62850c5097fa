"""Connects a service to its schema in Postgres and maps the driver's retryable errors."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar
from urllib.parse import quote

import grpc
from sqlalchemy import BigInteger, DateTime, ExceptionContext, LargeBinary, MetaData, Text, Uuid
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session

from meshkit.config import Environment
from meshkit.errors import ServiceError, Unavailable
from meshkit.postgres_errors import hide_values

T = TypeVar("T")

ATTEMPTS_MAX: Final = 3
JITTER_SECONDS_MAX: Final = 0.05
# SQLSTATE 40001 serialization_failure, 40P01 deadlock_detected.
ABORTED_STATES: Final = frozenset({"40001", "40P01"})
# 53300 too_many_connections, 57P01 admin_shutdown, 57P02 crash_shutdown, 57P03 cannot_connect_now.
AWAY_STATES: Final = frozenset({"53300", "57P01", "57P02", "57P03"})
# Constraint names must be stable, since migrations and refusals name them.
NAMING_CONVENTION: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

type_annotation_map: Final[dict[Any, Any]] = {
    datetime: DateTime(timezone=True),
    uuid.UUID: Uuid(),
    bytes: LargeBinary(),
    str: Text(),
    int: BigInteger(),
    dict[str, Any]: JSONB(),
    list[str]: JSONB(),
}


class TransactionAborted(ServiceError):
    """Postgres gave this transaction up for another one; the same command may work again."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ABORTED
    reason: ClassVar[str] = "TRANSACTION_ABORTED"


class DatabaseUnavailable(Unavailable):
    """Postgres cannot be reached, or the connection was lost in the middle of the call.

    What was sent last may have been committed; repeating an idempotent call is safe.
    """

    reason: ClassVar[str] = "DATABASE_UNAVAILABLE"


class Database:
    """A pool of connections to one schema; an async context manager.

    `sessions` makes sessions that are READ COMMITTED, keep their objects readable after a commit
    and know their schema. `outbox_written` is set whenever a transaction that wrote to the
    outbox has committed in this process.
    """

    def __init__(self, url: str, schema: str, pool_size: int = 10) -> None:
        self.url = url
        self.schema = schema
        self.outbox_written = asyncio.Event()
        self._engine = create_engine(url, pool_size=pool_size)
        self.sessions = async_sessionmaker(
            self._engine,
            expire_on_commit=False,
            sync_session_class=CommitSession,
            info=session_info(schema, self.outbox_written),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._engine.dispose()

    async def ping(self) -> None:
        """Run a trivial statement; fails when the database cannot be reached."""
        async with self._engine.connect() as connection:
            await connection.execute(sql("SELECT 1"))

    async def probe(self) -> None:
        """Demand that the database can be reached; a pool that is in full use proves it.

        Raises:
            DatabaseUnavailable: it is away.
        """
        with suppress(PoolTimeout):
            await self.ping()


class CommitSession(Session):
    """A session that runs callbacks in this process once its transaction has committed."""


def session_info(schema: str, outbox_written: asyncio.Event) -> dict[str, Any]:
    """Give what each session carries so that shared tables are found in the service's schema."""
    return {"schema": schema, "outbox_written": outbox_written}


def schema_of(session: AsyncSession) -> str:
    """Name the schema that the session's service lives in."""
    schema = session.info["schema"]
    assert isinstance(schema, str)
    return schema


def after_commit(session: AsyncSession, callback: Callable[[], None]) -> None:
    """Call back in this process once the current transaction has committed.

    The callback must not block or raise. It is dropped when the transaction rolls back and when
    the process dies between the commit and the call.
    """
    session.info.setdefault("after_commit", []).append(callback)


@sqlalchemy_event.listens_for(CommitSession, "after_commit")
def _run_callbacks(session: Session) -> None:
    if session.in_nested_transaction():
        return  # A released savepoint is not yet visible to anybody.
    for callback in session.info.pop("after_commit", ()):
        callback()


@sqlalchemy_event.listens_for(CommitSession, "after_rollback")
def _drop_callbacks(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop("after_commit", None)


def create_engine(url: str, *, pool_size: int) -> AsyncEngine:
    """Make an engine that maps retryable errors and hides values; the caller disposes of it.

    The pool is a hard bound: connections are shared between processes, so none may take more.
    """
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    hide_values(engine)
    sqlalchemy_event.listen(engine.sync_engine, "handle_error", _map_error)
    sqlalchemy_event.listen(engine.sync_engine, "do_connect", _connect)
    return engine


def metadata_for(schema: str) -> MetaData:
    """Make the metadata of one service's tables: its schema and the naming convention."""
    return MetaData(schema=schema, naming_convention=NAMING_CONVENTION)


async def retry_aborted(command: Callable[[], Awaitable[T]]) -> T:
    """Run the command, again up to three times in all while Postgres aborts its transaction."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return await command()
        except TransactionAborted:
            if attempt == ATTEMPTS_MAX:
                raise
            jitter = secrets.randbelow(1000) / 1000 * JITTER_SECONDS_MAX
            await asyncio.sleep(attempt * jitter)  # Lets the winner finish; waits for no event.
    raise AssertionError("unreachable")


def database_url(environment: Environment) -> str:
    """Read REELMESH_DATABASE_URL and put in the password of REELMESH_DATABASE_PASSWORD_FILE."""
    text = environment.text("REELMESH_DATABASE_URL")
    password = environment.secret_file("REELMESH_DATABASE_PASSWORD_FILE", default="")
    if not text:
        return text
    if not text.startswith("postgresql+asyncpg://"):
        environment.refuse("REELMESH_DATABASE_URL", "must start with postgresql+asyncpg://")
        return text
    return with_password(text, password) if password else text


def with_password(url: str, password: str) -> str:
    """Give the URL with the password in it."""
    return make_url(url).set(password=password).render_as_string(hide_password=False)


def driver_url(url: str) -> str:
    """Give the URL in the form that asyncpg itself reads: no SQLAlchemy dialect in the scheme."""
    parsed: URL = make_url(url).set(drivername="postgresql")
    host = parsed.query.get("host")
    if not isinstance(host, str):
        return parsed.render_as_string(hide_password=False)
    # asyncpg takes a socket folder as a query parameter only in percent-encoded form.
    bare = parsed.difference_update_query(["host"]).render_as_string(hide_password=False)
    separator = "&" if "?" in bare else "?"
    return f"{bare}{separator}host={quote(host, safe='')}"


def _map_error(context: ExceptionContext) -> None:
    if context.is_pre_ping:
        return  # The pool itself replaces a connection that turns out to be dead.
    state = getattr(context.original_exception, "sqlstate", None)
    if state in ABORTED_STATES:
        raise TransactionAborted("the transaction met another one; try again")
    if context.is_disconnect or state in AWAY_STATES:
        raise DatabaseUnavailable("the database is away; try again")


def _connect(dialect: Dialect, _record: object, args: list[Any], options: dict[str, Any]) -> Any:
    try:
        return dialect.connect(*args, **options)
    except OSError as error:
        raise DatabaseUnavailable("the database cannot be reached; try again") from error
