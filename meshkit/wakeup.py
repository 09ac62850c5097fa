"""Wakes those who wait for a change, in this process at once and in others through Postgres."""

from __future__ import annotations

import asyncio
import re
import time
from types import TracebackType
from typing import Final, Self

import asyncpg

from meshkit.postgres import driver_url
from meshkit.tasks import Supervisor

NOTIFY_PAUSE_SECONDS: Final = 0.02
CONNECT_SECONDS_MAX: Final = 5.0
PING_SECONDS: Final = 15.0


class Wakeup:
    """A channel of change signals without contents; an async context manager.

    Signals may be merged, doubled, or lost while the database is away, so waiters always have a
    timeout and always look at the state themselves.
    """

    def __init__(self, database_url: str, channel: str) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,62}", channel), "a channel is a plain identifier"
        self._dsn = driver_url(database_url)
        self._channel = channel
        self._generation = 0
        self._seen = 0
        self._changed = asyncio.Event()
        self._outgoing = asyncio.Event()
        self._supervisor = Supervisor()

    async def __aenter__(self) -> Self:
        self._supervisor.start(f"wakeup-{self._channel}", self._run)
        await self._supervisor.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._supervisor.stop()

    @property
    def generation(self) -> int:
        """How many signals there have been; read it before reading the state."""
        return self._generation

    def notify(self) -> None:
        """Wake the waiters here now and those of other processes soon; never blocks."""
        self._wake()
        self._outgoing.set()

    async def wait(self, timeout_seconds: float, *, since: int | None = None) -> bool:
        """Wait for a signal after generation `since`; False if none came in time.

        Without `since` a call waits for what came after the call before it, which suits a single
        waiter: a signal during its work is not missed.
        """
        known = self._seen if since is None else since
        deadline = time.monotonic() + timeout_seconds
        while self._generation <= known:
            changed = self._changed
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await changed.wait()
            except TimeoutError:
                return False
        if since is None:
            self._seen = self._generation
        return True

    def _wake(self) -> None:
        self._generation += 1
        # A new event for each signal: all present waiters wake and none wakes twice.
        self._changed.set()
        self._changed = asyncio.Event()

    async def _run(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=CONNECT_SECONDS_MAX)
        try:
            own = connection.get_server_pid()

            def hear(_connection: object, sender: int, _channel: str, _payload: object) -> None:
                if sender != own:  # Our own signals have woken our waiters already.
                    self._wake()

            await connection.add_listener(self._channel, hear)
            # A lost connection shows at once, since the statement that follows fails.
            connection.add_termination_listener(lambda _connection: self._outgoing.set())
            self._wake()  # Something may have changed while nobody listened.
            while True:
                await self._send(connection)
        finally:
            connection.terminate()

    async def _send(self, connection: asyncpg.Connection) -> None:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._outgoing.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=CONNECT_SECONDS_MAX)
            return
        self._outgoing.clear()
        try:
            await connection.execute(f"NOTIFY {self._channel}", timeout=CONNECT_SECONDS_MAX)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._outgoing.set()  # For the next connection.
            raise
        # NOTIFY takes a lock of the whole cluster at commit: one for many signals is kinder.
        await asyncio.sleep(NOTIFY_PAUSE_SECONDS)
