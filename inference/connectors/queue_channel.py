"""Calls the scheduler through a message broker: generated stubs work on it as on a channel."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
from google.protobuf.message import DecodeError
from grpc.aio import AioRpcError, Metadata
from reelmesh.inference.regions.v1 import queued_call_pb2 as pb

from inference.connectors.brokers.protocol import Broker, BrokerAway, MessageTooLarge
from inference.connectors.queued_calls import (
    CALLS_QUEUE,
    LEASE_METHOD,
    REPORT_SECONDS_KEPT,
    QueuedCall,
)
from meshkit.clock import Ambient
from meshkit.context import find_current
from meshkit.interceptors.authentication import SERVICE_KEY
from meshkit.interceptors.request_id import REQUEST_ID_KEY
from meshkit.interceptors.telemetry import TRACEPARENT_KEY
from meshkit.stubs import UNARY_TIMEOUT_SECONDS
from meshkit.tasks import Supervisor, attempt
from meshkit.tokens import ServiceIdentity

StubT = TypeVar("StubT")
OnLate = Callable[[pb.QueuedReply], Awaitable[None]]

RECEIVE_SECONDS: Final = 5.0
AWAY_PAUSE_SECONDS: Final = 0.25
# How many ended calls are remembered, to tell a late reply from a repeated one.
REMEMBERED_MAX: Final = 2048
DETAILS_KEY: Final = "grpc-status-details-bin"
CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

logger = logging.getLogger(__name__)


class QueueChannel:
    """Calls as one service over a broker; an async context manager inside the broker's.

    `on_late` hears of replies that came when their caller had given up, once each, so that what
    they grant can be given back.
    """

    def __init__(
        self,
        broker: Broker,
        identity: ServiceIdentity,
        *,
        ambient: Ambient | None = None,
        timeout_seconds: float = UNARY_TIMEOUT_SECONDS,
    ) -> None:
        self._broker = broker
        self._identity = identity
        self._ambient = ambient or Ambient()
        self._timeout_seconds = timeout_seconds
        self._mailbox = f"rm-replies-{self._ambient.new_id()}"
        self._is_listening = asyncio.Event()
        self._pending: dict[str, asyncio.Future[pb.QueuedReply]] = {}
        # The digest of the reply that was taken, or nothing when the caller gave up.
        self._ended: OrderedDict[str, bytes] = OrderedDict()
        self._supervisor = Supervisor()
        self._late: set[asyncio.Task[bool]] = set()
        self.on_late: OnLate | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen for replies."""
        self._supervisor.start("queue-replies", self._listen)
        await self._supervisor.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening; calls under way end with UNAVAILABLE."""
        await self._supervisor.stop()
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        for waiting in self._pending.values():
            waiting.cancel()
        try:
            async with asyncio.timeout(RECEIVE_SECONDS):
                await self._broker.close(self._mailbox)
        except (BrokerAway, TimeoutError, KeyError) as trouble:
            logger.info("the mailbox stays behind", extra={"why": repr(trouble)})

    def stub(self, stub_class: Callable[[Any], StubT]) -> StubT:
        """Return a generated stub whose calls go through the broker."""
        return stub_class(_StubChannel(self))

    async def call(self, method: str, request: bytes, seconds_max: float | None) -> bytes:
        """Send a call and wait for its reply.

        Raises:
            AioRpcError: the refusal, or UNAVAILABLE when no reply came in time.
        """
        seconds = self._timeout_seconds if seconds_max is None else seconds_max
        call_id = str(self._ambient.new_id())
        waiting: asyncio.Future[pb.QueuedReply] = asyncio.get_running_loop().create_future()
        self._pending[call_id] = waiting
        try:
            async with asyncio.timeout(seconds):
                await self._is_listening.wait()
                await self._send(call_id, method, request, seconds)
                reply = await waiting
        except TimeoutError:
            raise _away("no reply came through the broker in time") from None
        except BrokerAway as error:
            raise _away(f"the broker is away: {error}") from error
        except MessageTooLarge as error:
            raise _error(grpc.StatusCode.INVALID_ARGUMENT, str(error), b"") from error
        finally:
            del self._pending[call_id]
            self._remember(call_id, b"")
        self._remember(call_id, _digest(reply))
        if reply.code != 0:
            code = CODES.get(reply.code, grpc.StatusCode.UNKNOWN)
            raise _error(code, reply.message, reply.details)
        return reply.response

    async def _send(self, call_id: str, method: str, request: bytes, seconds: float) -> None:
        # A report that outlives its caller may still count; an offer to work may not.
        kept = seconds if method == LEASE_METHOD else max(seconds, REPORT_SECONDS_KEPT)
        call = QueuedCall(
            call_id=call_id,
            method=method,
            request=request,
            metadata=self._metadata(),
            reply_to=self._mailbox,
            expires_at=self._ambient.now() + timedelta(seconds=kept),
        )
        await self._broker.put(CALLS_QUEUE, call.encode(), message_id=call_id)

    def _metadata(self) -> dict[str, str]:
        metadata = {SERVICE_KEY: self._identity.token()}
        current = find_current()
        if current is not None:
            metadata[REQUEST_ID_KEY] = current.request_id
            if current.traceparent:
                metadata[TRACEPARENT_KEY] = current.traceparent
        return metadata

    async def _listen(self) -> None:
        """Hand replies to their callers for ever, through every absence of the broker."""
        while True:
            try:
                await self._broker.declare(CALLS_QUEUE)
                await self._broker.listen(self._mailbox)
                self._is_listening.set()
                while True:
                    for body in await self._broker.receive(
                        self._mailbox, wait_seconds=RECEIVE_SECONDS
                    ):
                        self._settle(body)
            except BrokerAway as error:
                self._is_listening.clear()
                logger.warning("no replies from the broker", extra={"why": str(error)})
                await asyncio.sleep(AWAY_PAUSE_SECONDS)  # The pause between attempts.

    def _settle(self, body: bytes) -> None:
        try:
            reply = pb.QueuedReply.FromString(body)
        except DecodeError:
            logger.warning("a reply cannot be read", extra={"bytes": len(body)})
            return
        waiting = self._pending.get(reply.call_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)
            return
        digest = _digest(reply)
        if self._ended.get(reply.call_id, digest) == digest:
            return  # The same reply again, or one to a call that was never made here.
        self._remember(reply.call_id, digest)
        if self.on_late is not None:
            task = asyncio.create_task(attempt("late-reply", self.on_late(reply)))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    def _remember(self, call_id: str, digest: bytes) -> None:
        self._ended[call_id] = digest
        self._ended.move_to_end(call_id)
        while len(self._ended) > REMEMBERED_MAX:
            self._ended.popitem(last=False)


class _StubChannel:
    """What a generated stub sees as its channel."""

    def __init__(self, channel: QueueChannel) -> None:
        self._channel = channel

    def unary_unary(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        **_options: Any,
    ) -> Any:
        # A stub's callers name it so.
        async def call(request: Any, *, timeout: float | None = None) -> Any:  # noqa: ASYNC109
            sent = request_serializer(request)
            return response_deserializer(await self._channel.call(path, sent, timeout))

        return call

    def unary_stream(self, path: str, *_arguments: Any, **_options: Any) -> Any:
        def refuse(*_given: Any, **_named: Any) -> Any:
            raise NotImplementedError(f"{path} streams, which a broker does not carry")

        return refuse


def _digest(reply: pb.QueuedReply) -> bytes:
    return hashlib.sha256(reply.response).digest()


def _away(why: str) -> AioRpcError:
    return _error(grpc.StatusCode.UNAVAILABLE, why, b"")


def _error(code: grpc.StatusCode, message: str, details: bytes) -> AioRpcError:
    trailing = Metadata((DETAILS_KEY, details)) if details else Metadata()
    return AioRpcError(code, Metadata(), trailing, details=message)
