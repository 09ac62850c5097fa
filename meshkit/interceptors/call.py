"""One served call as the layers see it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message

from meshkit.context import CallContext
from meshkit.methods import MethodPolicy

Parse = Callable[[bytes], Message]


@dataclass(slots=True)
class ServedCall:
    """The state of one call on its way through the layers.

    `raw` is what gRPC delivered: bytes, or a stream of them. Parsing turns it into `request` for
    methods that take one message and into `requests` for those that take a stream. `code` and
    `reason` say how the call ended.
    """

    policy: MethodPolicy
    context: grpc.aio.ServicerContext[Any, Any]
    metadata: Mapping[str, str | bytes]
    info: CallContext
    raw: Any
    parse: Parse
    request: Message | None = None
    requests: AsyncIterator[Message] | None = None
    response: Any = None
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    started: float = field(default_factory=time.monotonic)

    def text(self, key: str) -> str | None:
        """Return a metadata value, or None if it is missing or binary."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def elapsed_seconds(self) -> float:
        """Return how long the call has taken so far."""
        return time.monotonic() - self.started


Proceed = Callable[[ServedCall], Awaitable[None]]


class Layer(Protocol):
    """One concern, wrapped around all that lies further in."""

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """Do this layer's work before and after `proceed`, or refuse by raising."""
        ...
