"""Connects to NATS JetStream, which carries events between services."""

from __future__ import annotations

import asyncio
import logging
import uuid
from types import TracebackType
from typing import Final, Self

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NoStreamResponseError, NotFoundError

from meshkit.tasks import Supervisor

STREAM: Final = "REELMESH"
SUBJECTS: Final = "reelmesh.>"
EVENT_ID_HEADER: Final = "Nats-Msg-Id"
TRACE_HEADER: Final = "traceparent"
PUBLISH_SECONDS_MAX: Final = 5.0
RECONNECT_SECONDS: Final = 1
KEPT_SECONDS: Final = 7 * 24 * 3600
KEPT_BYTES_MAX: Final = 1 << 30
# The server drops a repeated event id within this time; consumers dedupe beyond it.
DUPLICATE_SECONDS: Final = 600

_log = logging.getLogger(__name__)


class EventBus:
    """One connection to NATS that comes back for ever; an async context manager.

    Entering does not wait for NATS, so a service can serve while it is away: what must be
    published stays in the outbox.
    """

    def __init__(self, nats_url: str) -> None:
        self._url = nats_url
        self._client: Client | None = None
        self._ready = asyncio.Event()
        self._supervisor = Supervisor()

    async def __aenter__(self) -> Self:
        self._supervisor.start("bus-connection", self._connect)
        await self._supervisor.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._supervisor.stop()
        self._ready.clear()
        await self._close()

    @property
    def is_connected(self) -> bool:
        """Whether the server is there now and has the stream."""
        return self._ready.is_set()

    async def connected(self) -> None:
        """Wait until the server is there and has the stream."""
        await self._ready.wait()

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream's interface, for consumers."""
        assert self._client is not None, "wait for connected() first"
        return self._client.jetstream(timeout=PUBLISH_SECONDS_MAX)

    async def publish(
        self, subject: str, data: bytes, *, event_id: uuid.UUID, traceparent: str | None = None
    ) -> None:
        """Publish one event and wait until the server has stored it.

        Raises:
            nats.errors.Error: it is unknown whether the event was stored.
        """
        headers = {EVENT_ID_HEADER: str(event_id)}
        if traceparent is not None:
            headers[TRACE_HEADER] = traceparent
        try:
            await self.jetstream.publish(
                subject, data, timeout=PUBLISH_SECONDS_MAX, stream=STREAM, headers=headers
            )
        except NoStreamResponseError:
            await self.ensure_stream()  # A server that lost its data; the caller tries again.
            raise

    async def ensure_stream(self) -> None:
        """Make the stream, or bring its settings up to date; harmless when done twice."""
        config = StreamConfig(
            name=STREAM,
            subjects=[SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=KEPT_SECONDS,
            max_bytes=KEPT_BYTES_MAX,
            duplicate_window=DUPLICATE_SECONDS,
        )
        try:
            await self.jetstream.update_stream(config)
        except NotFoundError:
            await self.jetstream.add_stream(config)

    async def _connect(self) -> None:
        await self._close()  # What an attempt before this one may have left.
        self._client = Client()
        await self._client.connect(
            self._url,
            name="reelmesh",
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_SECONDS,
            connect_timeout=2,
            ping_interval=10,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
        )
        await self.ensure_stream()
        self._ready.set()

    async def _close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _on_error(self, error: Exception) -> None:
        _log.warning("trouble with NATS", extra={"error": repr(error)})

    async def _on_disconnected(self) -> None:
        self._ready.clear()
        _log.warning("the connection to NATS is lost")

    async def _on_reconnected(self) -> None:
        _log.info("the connection to NATS is back")
        self._ready.set()
