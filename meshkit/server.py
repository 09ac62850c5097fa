"""The gRPC server of every part: interceptors, health, reflection and a graceful end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry import trace

from meshkit.authorization import Authorizer
from meshkit.clock import Ambient
from meshkit.interceptors.authentication import Authentication
from meshkit.interceptors.authorization import Authorization
from meshkit.interceptors.call import Layer
from meshkit.interceptors.chain import LayerChain
from meshkit.interceptors.deadline import Deadlines
from meshkit.interceptors.errors import ErrorMapping
from meshkit.interceptors.logs import CallLogs
from meshkit.interceptors.parsing import Parsing
from meshkit.interceptors.request_id import RequestIds
from meshkit.interceptors.telemetry import Telemetry
from meshkit.interceptors.validation import Validation
from meshkit.methods import read_policies
from meshkit.telemetry import metrics_endpoint
from meshkit.tokens import TokenVerifier

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
OVERALL_HEALTH = ""
SERVER_OPTIONS = [
    # Two processes on one port would share the calls silently.
    ("grpc.so_reuseport", 0),
    # Proxies probe idle connections; by default that counts as abuse.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]


class AddressUnavailable(Exception):
    """The server cannot listen where it was told to."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where a server listens (host:port, port 0 for a free one) and how long it drains."""

    listen: str = "127.0.0.1:0"
    metrics_listen: str | None = None
    drain_seconds: float = DRAIN_SECONDS


@dataclass(frozen=True, slots=True)
class Service:
    """A service to serve: its full proto name, and what adds its servicer to a server.

    `drain` is called when the server begins to drain, for services whose calls wait or stream:
    it must let them end soon, without blocking.
    """

    name: str
    add: Callable[[grpc.aio.Server], None]
    drain: Callable[[], None] | None = None


class MeshServer:
    """Serves services with every interceptor; starts on entering, drains on leaving.

    `domain` is the ErrorInfo domain of the errors, such as "platform.reelmesh".
    """

    def __init__(
        self,
        settings: ServerSettings,
        services: Sequence[Service],
        verifier: TokenVerifier,
        authorizer: Authorizer,
        domain: str,
        *,
        ambient: Ambient | None = None,
        tracer_provider: trace.TracerProvider | None = None,
    ) -> None:
        names = [service.name for service in services]
        outer: list[Layer] = [
            RequestIds(ambient or Ambient()),
            CallLogs(),
            Telemetry(tracer_provider),
            ErrorMapping(domain),
            Deadlines(),
        ]
        inner: list[Layer] = [
            Authentication(verifier),
            Parsing(),
            Authorization(authorizer),
            Validation(),
        ]
        self._settings = settings
        self._names = names
        self._services = services
        self._chain = LayerChain(outer, inner, read_policies(names))
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._stack = AsyncExitStack()
        self._stop_asked = asyncio.Event()
        self.port = 0
        self.metrics_port: int | None = None

    async def __aenter__(self) -> Self:
        """Listen, then say SERVING.

        Raises:
            AddressUnavailable: another process listens there.
        """
        server = grpc.aio.server(interceptors=[self._chain], options=SERVER_OPTIONS)
        for service in self._services:
            service.add(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        shown = [*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(shown, server)
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        try:
            self.port = server.add_insecure_port(self._settings.listen)
        except RuntimeError as error:
            raise AddressUnavailable(f"cannot listen at {self._settings.listen}") from error
        async with AsyncExitStack() as starting:
            self.metrics_port = starting.enter_context(
                metrics_endpoint(self._settings.metrics_listen)
            )
            await server.start()
            self._stack = starting.pop_all()
        self._server = server
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        logger.info("serving", extra={"port": self.port, "services": self._names})
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain and stop."""
        await self.stop()

    def ask_to_stop(self) -> None:
        """Make `serve_until_stopped` return."""
        self._stop_asked.set()

    async def serve_until_stopped(self) -> None:
        """Serve until SIGTERM, SIGINT or `ask_to_stop`, then drain."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.ask_to_stop)
        try:
            await self._stop_asked.wait()
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
        await self.stop()

    async def stop(self) -> None:
        """Say NOT_SERVING, let running calls end, then stop; doing it twice is harmless."""
        server, self._server = self._server, None
        if server is None:
            return
        logger.info("draining", extra={"seconds": self._settings.drain_seconds})
        await self._health.enter_graceful_shutdown()
        for service in self._services:
            if service.drain is not None:
                service.drain()
        await server.stop(self._settings.drain_seconds)
        await self._stack.aclose()

    async def set_serving(self, *, serving: bool) -> None:
        """Say SERVING or NOT_SERVING; while draining it stays NOT_SERVING."""
        status = health_pb2.HealthCheckResponse
        await self._set_health(status.SERVING if serving else status.NOT_SERVING)

    async def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for name in (OVERALL_HEALTH, *self._names):
            await self._health.set(name, status)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a process's main coroutine on uvloop."""
    uvloop.run(main())
