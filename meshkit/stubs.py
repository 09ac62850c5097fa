"""Outgoing calls: identity, request id, trace, deadline and bounded retries on every stub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from meshkit.context import CallContext, find_current
from meshkit.errors import ServiceError
from meshkit.interceptors.authentication import SERVICE_KEY
from meshkit.interceptors.request_id import REQUEST_ID_KEY
from meshkit.interceptors.telemetry import TRACEPARENT_KEY
from meshkit.methods import IDEMPOTENT_LEVELS
from meshkit.tokens import ServiceIdentity

UNARY_TIMEOUT_SECONDS = 10.0
STREAM_TIMEOUT_SECONDS = 3600.0
RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A service that restarts should be found again in a second or two, not in minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)

Metadata = Iterable[tuple[str, str]]
StubT = TypeVar("StubT")


class RemoteError(ServiceError):
    """Another service's refusal, in a form that can be raised on to the own caller."""

    def __init__(
        self, code: grpc.StatusCode, reason: str, message: str, metadata: dict[str, str]
    ) -> None:
        super().__init__(message, **metadata)
        # The class attributes are the defaults of fixed refusals; here each error has its own.
        self.code = code  # type: ignore[misc]
        self.reason = reason  # type: ignore[misc]

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> RemoteError | None:
        """Return the refusal that an error carries, or None if it carries no reason."""
        info = _error_info(error)
        if info is None:
            return None
        return cls(error.code(), info.reason, error.details() or "", dict(info.metadata))


def remote_reason(error: grpc.aio.AioRpcError) -> str | None:
    """Return the reason in the error's ErrorInfo, such as "INSUFFICIENT_CREDITS"."""
    info = _error_info(error)
    return None if info is None else info.reason


class MeshChannel:
    """Connections to one address, called as one service.

    Each call carries the service's token, the request id and trace of the call being served, and
    a deadline: `timeout_seconds` (3600 for streams) or what is left of the served call's, if that
    is less. UNAVAILABLE is retried for methods that are declared free of side effects or
    idempotent, and for no others.
    """

    def __init__(
        self,
        address: str,
        identity: ServiceIdentity | None,
        *,
        timeout_seconds: float = UNARY_TIMEOUT_SECONDS,
    ) -> None:
        self._address = address
        self._identity = identity
        self._timeout_seconds = timeout_seconds
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def __aenter__(self) -> Self:
        """Open nothing yet: connections are made by the first call."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()

    def stub(self, stub_class: Callable[[Any], StubT]) -> StubT:
        """Return a generated stub whose calls go through this channel."""
        return stub_class(_StubChannel(self))

    def channel_of(self, service: str) -> grpc.aio.Channel:
        """Return the connection for a service; retries are configured per service."""
        channel = self._channels.get(service)
        if channel is None:
            options = [*CHANNEL_OPTIONS, ("grpc.service_config", service_config(service))]
            channel = grpc.aio.insecure_channel(self._address, options=options)
            self._channels[service] = channel
        return channel

    def metadata(self, given: Metadata | None) -> list[tuple[str, str]]:
        """Return the metadata of a call made now."""
        metadata = list(given or ())
        if self._identity is not None:
            metadata.append((SERVICE_KEY, self._identity.token()))
        call = find_current()
        if call is not None:
            metadata.append((REQUEST_ID_KEY, call.request_id))
            if call.traceparent:
                metadata.append((TRACEPARENT_KEY, call.traceparent))
        return metadata

    def timeout(self, given: float | None, *, is_stream: bool) -> float:
        """Return how many seconds a call made now may take."""
        default = STREAM_TIMEOUT_SECONDS if is_stream else self._timeout_seconds
        wanted = default if given is None else given
        call: CallContext | None = find_current()
        remaining = None if call is None else call.remaining_seconds()
        return wanted if remaining is None else min(wanted, remaining)


def service_config(service: str) -> str:
    """Return gRPC's JSON service config: retries for the service's idempotent methods."""
    descriptor = descriptor_pool.Default().FindServiceByName(service)
    names = [
        {"service": service, "method": method.name}
        for method in descriptor.methods
        if method.GetOptions().idempotency_level in IDEMPOTENT_LEVELS
    ]
    methods = [{"name": names, "retryPolicy": RETRY_POLICY}] if names else []
    return json.dumps({"methodConfig": methods})


class _StubChannel:
    """What a generated stub sees as its channel."""

    def __init__(self, mesh: MeshChannel) -> None:
        self._mesh = mesh

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return self._call(path, "unary_unary", args, kwargs)

    def unary_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return self._call(path, "unary_stream", args, kwargs)

    def stream_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return self._call(path, "stream_unary", args, kwargs)

    def stream_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return self._call(path, "stream_stream", args, kwargs)

    def _call(self, path: str, kind: str, args: Any, kwargs: Any) -> Any:
        mesh = self._mesh
        channel = mesh.channel_of(path.split("/")[1])
        inner = getattr(channel, kind)(path, *args, **kwargs)
        is_stream = kind != "unary_unary"

        def call(
            request: Any = None,
            *,
            timeout: float | None = None,
            metadata: Metadata | None = None,
            wait_for_ready: bool | None = None,
        ) -> Any:
            return inner(
                request,
                timeout=mesh.timeout(timeout, is_stream=is_stream),
                metadata=mesh.metadata(metadata),
                wait_for_ready=wait_for_ready,
            )

        return call


def _error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo | None:
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # It reads what both have.
    except ValueError:
        return None
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    return None
