"""Message brokers of the tests' own, each a real server that can be stopped and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from meshkit.testing.databases import PostgresServer
from meshkit.testing.nats import NatsServer
from meshkit.testing.redis import RedisServer
from meshkit.testing.sqs import SqsServer

BROKERS: Final = ("postgres", "nats", "redis", "sqs")


class BrokerServer(Protocol):
    """One broker's server; the address stays the same over a restart."""

    @property
    def url(self) -> str:
        """The address to connect to."""
        ...

    async def start(self) -> None:
        """Start and wait until the server answers."""
        ...

    def stop(self) -> None:
        """Stop; what it stored durably is there when it starts again."""
        ...

    def remove(self) -> None:
        """Stop and delete everything."""
        ...


class PostgresBrokerServer:
    """A Postgres of its own, since the run's Postgres must not be stopped."""

    def __init__(self) -> None:
        self._server = PostgresServer()
        self._is_made = False

    @property
    def url(self) -> str:
        """The address to connect to."""
        return self._server.url("postgres")

    async def start(self) -> None:
        """Make the cluster at the first start."""
        if self._is_made:
            await self._server.resume()
        else:
            await self._server.start()
        self._is_made = True

    def stop(self) -> None:
        """Stop and keep the data."""
        self._server.halt()

    def remove(self) -> None:
        """Stop and delete the data."""
        self._server.stop()


@asynccontextmanager
async def broker_server(name: str) -> AsyncIterator[BrokerServer]:
    """Run one of `BROKERS` until the end of the block."""
    server: BrokerServer
    match name:
        case "postgres":
            server = PostgresBrokerServer()
        case "nats":
            server = NatsServer()
        case "redis":
            server = RedisServer()
        case _:
            server = SqsServer()
    try:
        await server.start()
        yield server
    finally:
        await asyncio.to_thread(server.remove)
