"""Brings a service's schema to its newest version, one process at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from meshkit.postgres_errors import hide_values

VERSION_TABLE: Final = "schema_version"
# A migration that waits for a lock blocks everybody behind it: rather fail and try again.
LOCK_TIMEOUT: Final = "4s"
STATEMENT_TIMEOUT: Final = "60s"

Steps = Callable[[Any, MigrationContext], Any]


async def upgrade(url: str, schema: str, versions_folder: Path) -> None:
    """Apply every migration of the folder that the schema lacks, in one transaction.

    The schema is made if absent. Processes that start at once queue behind an advisory lock, so
    each migration runs once; services have locks of their own.
    """
    script = _script(versions_folder)
    await _run(url, schema, script, lambda rev, _: script._upgrade_revs("head", rev))  # noqa: SLF001 - what alembic's own command calls; there is no public name.


async def downgrade(url: str, schema: str, versions_folder: Path, revision: str) -> None:
    """Undo migrations down to the revision; "base" undoes all, "-1" the newest one."""
    script = _script(versions_folder)
    await _run(url, schema, script, lambda rev, _: script._downgrade_revs(revision, rev))  # noqa: SLF001 - as above.


async def drift(url: str, metadata: sa.MetaData) -> list[str]:
    """Say where the database and the declared tables differ; empty when they agree."""
    assert metadata.schema is not None, "service tables live in a schema"

    def compare(connection: sa.Connection) -> list[str]:
        context = MigrationContext.configure(connection, opts=_options(str(metadata.schema)))
        return [repr(difference) for difference in compare_metadata(context, metadata)]

    engine = _engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


def create_idempotency_keys_v1(op: Any, schema: str) -> None:
    """Create the table of `meshkit.idempotency`; frozen, since released migrations call it.

    `op` is `alembic.op`, which is a module that acts as its Operations.
    """
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("scope", "method", "key", name="pk_idempotency_keys"),
        schema=schema,
    )
    op.create_index(
        "ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], schema=schema
    )


def create_outbox_v1(op: Any, schema: str) -> None:
    """Create the table of `meshkit.outbox`; frozen, since released migrations call it."""
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "available_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("position", name="pk_outbox"),
        sa.UniqueConstraint("event_id", name="uq_outbox_event_id"),
        schema=schema,
    )


def create_inbox_v1(op: Any, schema: str) -> None:
    """Create the table of `meshkit.inbox`; frozen, since released migrations call it."""
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column(
            "seen_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("consumer", "event_id", name="pk_inbox"),
        schema=schema,
    )
    op.create_index("ix_inbox_seen_at", "inbox", ["seen_at"], schema=schema)


def _engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True)
    hide_values(engine)
    return engine


def _script(versions_folder: Path) -> ScriptDirectory:
    if not versions_folder.is_dir():
        raise FileNotFoundError(f"there is no folder of migrations at {versions_folder}")
    return ScriptDirectory(str(versions_folder.parent), version_locations=[str(versions_folder)])


def _options(schema: str) -> dict[str, Any]:
    """Keep alembic to one schema: other services' tables are not ours to compare."""

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        if kind == "schema":
            return name == schema
        return not (kind == "table" and name == VERSION_TABLE)

    return {
        "version_table": VERSION_TABLE,
        "version_table_schema": schema,
        "include_schemas": True,
        "include_name": ours,
        "compare_type": True,
    }


async def _run(url: str, schema: str, script: ScriptDirectory, steps: Steps) -> None:
    def migrate(connection: sa.Connection) -> None:
        connection.execute(
            sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            {"name": f"reelmesh.migrations.{schema}"},
        )
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(sa.text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
        with EnvironmentContext(Config(), script, fn=steps) as environment:
            environment.configure(connection=connection, **_options(schema))
            environment.run_migrations()

    engine = _engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()
