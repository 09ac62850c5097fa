from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.idempotency import IdempotencyKeyMixin
from meshkit.inbox import InboxMixin
from meshkit.migrations import downgrade, drift, upgrade
from meshkit.outbox import OutboxMixin
from meshkit.postgres import Database, metadata_for, type_annotation_map
from meshkit.testing.databases import Databases

VERSIONS = Path(__file__).parent / "versions"


class Base(DeclarativeBase):
    metadata = metadata_for("sample")
    type_annotation_map = type_annotation_map


class IdempotencyKey(IdempotencyKeyMixin, Base):
    pass


class OutboxEvent(OutboxMixin, Base):
    pass


class InboxEvent(InboxMixin, Base):
    pass


class Note(Base):
    __tablename__ = "notes"
    __table_args__ = (sa.UniqueConstraint("text"),)
    id: Mapped[__import__("uuid").UUID] = mapped_column(primary_key=True)
    text: Mapped[str]


@pytest.fixture
async def empty_url(databases: Databases) -> AsyncIterator[str]:
    async with databases.clone(await databases.template({})) as url:
        yield url


async def test_two_processes_may_migrate_at_once(empty_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_url, "sample", VERSIONS) for _ in range(4)))
    async with Database(empty_url, schema="sample") as database, database.sessions() as session:
        versions = await session.scalars(sa.text("SELECT version_num FROM sample.schema_version"))
        assert versions.all() == ["first"]


async def test_declared_tables_and_migrations_agree(empty_url: str) -> None:
    await upgrade(empty_url, "sample", VERSIONS)
    assert await drift(empty_url, Base.metadata) == []


async def test_drift_is_seen(empty_url: str) -> None:
    await upgrade(empty_url, "sample", VERSIONS)
    metadata = metadata_for("sample")
    sa.Table("extra", metadata, sa.Column("id", sa.BigInteger, primary_key=True))
    differences = await drift(empty_url, metadata)
    assert any("extra" in difference for difference in differences)
    assert any("notes" in difference for difference in differences)


async def test_downgrade_undoes_and_upgrade_redoes(empty_url: str) -> None:
    await upgrade(empty_url, "sample", VERSIONS)
    await downgrade(empty_url, "sample", VERSIONS, "base")
    assert len(await drift(empty_url, Base.metadata)) >= 4
    await upgrade(empty_url, "sample", VERSIONS)
    assert await drift(empty_url, Base.metadata) == []


async def test_a_failed_migration_changes_nothing(empty_url: str, tmp_path: Path) -> None:
    (tmp_path / "2026_01_10_0900_bad.py").write_text(
        "from alembic import op\n"
        "revision = 'bad'\ndown_revision = None\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE sample.half (id int)')\n"
        "    op.execute('SELECT 1 / 0')\n"
    )
    with pytest.raises(sa.exc.DBAPIError):
        await upgrade(empty_url, "sample", tmp_path)
    async with Database(empty_url, schema="sample") as database, database.sessions() as session:
        assert await session.scalar(sa.text("SELECT to_regclass('sample.half')")) is None


async def test_a_failed_migration_repeats_no_rows(empty_url: str, tmp_path: Path) -> None:
    (tmp_path / "2026_01_10_0900_bad.py").write_text(
        "from alembic import op\n"
        "revision = 'bad'\ndown_revision = None\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE sample.kept (word text, CHECK (length(word) < 3))')\n"
        "    op.execute(\"INSERT INTO sample.kept SELECT chr(104) || 'unter' || 2\")\n"
    )
    with pytest.raises(sa.exc.IntegrityError) as caught:
        await upgrade(empty_url, "sample", tmp_path)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
