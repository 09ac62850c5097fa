"""Stands in for a service that belongs to others: records calls, gives queued answers."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from meshkit.errors import Unavailable
from meshkit.server import Service

MAKERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with initial metadata, such as a redirect's `location`."""

    message: Message
    initial_metadata: tuple[tuple[str, str], ...] = ()


Answer = Message | Exception | Reply | Sequence[Message] | Callable[[Any], Any]


class FakeServicer:
    """A fake of any service, by its full proto name.

    `answer` queues what the next call of a method gets: a message, a list of messages for a
    server stream, an exception to raise, or a function of the request that gives one of these.
    `always` sets what calls get when the queue is empty. A call without any answer is refused as
    UNAVAILABLE. `calls` holds each method's requests in order (lists of them for client streams),
    `metadata` what each of these calls carried.
    """

    def __init__(self, service: str) -> None:
        self._descriptor = descriptor_pool.Default().FindServiceByName(service)
        self._queued: dict[str, deque[Answer]] = defaultdict(deque)
        self._standing: dict[str, Answer] = {}
        self.calls: dict[str, list[Any]] = defaultdict(list)
        self.metadata: dict[str, list[dict[str, str | bytes]]] = defaultdict(list)

    def forget(self) -> None:
        """Drop all answers and records, for the next test."""
        for state in (self._queued, self._standing, self.calls, self.metadata):
            state.clear()

    def answer(self, method: str, *answers: Answer) -> None:
        """Queue answers for the next calls of a method."""
        assert method in self._descriptor.methods_by_name, method
        self._queued[method].extend(answers)

    def always(self, method: str, answer: Answer) -> None:
        """Set the answer of calls for which nothing is queued."""
        assert method in self._descriptor.methods_by_name, method
        self._standing[method] = answer

    def service(self) -> Service:
        """Return the fake as a service that a server can add."""
        return Service(self._descriptor.full_name, self._add)

    def _add(self, server: grpc.aio.Server) -> None:
        handlers = {method.name: _handler(self, method) for method in self._descriptor.methods}
        generic = grpc.method_handlers_generic_handler(self._descriptor.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))

    async def respond(self, method: str, request: Any, context: Any) -> Any:
        """Record a call and return its answer; used by the handlers."""
        self.calls[method].append(request)
        self.metadata[method].append(dict(context.invocation_metadata() or ()))
        queue = self._queued[method]
        answer = queue.popleft() if queue else self._standing.get(method)
        if callable(answer):
            answer = answer(request)
            if hasattr(answer, "__await__"):
                answer = await answer
        if answer is None:
            raise Unavailable(f"the fake has no answer for {method}")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Reply):
            await context.send_initial_metadata(answer.initial_metadata)
            return answer.message
        return answer


def _handler(fake: FakeServicer, method: MethodDescriptor) -> Any:
    async def unary(request: Any, context: Any) -> Any:
        return await fake.respond(method.name, await _collected(request), context)

    async def stream(request: Any, context: Any) -> None:
        answer = await fake.respond(method.name, await _collected(request), context)
        if hasattr(answer, "__aiter__"):
            async for message in answer:
                await context.write(message)
            return
        for message in answer:
            if isinstance(message, Exception):
                raise message
            await context.write(message)

    request_class = message_factory.GetMessageClass(method.input_type)
    make = MAKERS[method.client_streaming, method.server_streaming]
    return make(
        stream if method.server_streaming else unary,
        request_deserializer=request_class.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )


async def _collected(request: Any) -> Any:
    if isinstance(request, Message):
        return request
    return [message async for message in request]
