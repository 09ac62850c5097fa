"""The one gRPC interceptor: runs the layers around handlers of all four call kinds."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc

from meshkit.context import CallContext
from meshkit.errors import UnknownMethod
from meshkit.interceptors.call import Layer, Parse, Proceed, ServedCall
from meshkit.methods import UNKNOWN_METHOD, MethodPolicy
from meshkit.networks import client_network

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]
# These are for probes and tools, need no credentials and must work while draining.
EXEMPT_PREFIXES = ("/grpc.health.", "/grpc.reflection.")
MAKERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class LayerChain(grpc.aio.ServerInterceptor):
    """Composes the layers, first outermost, around each method the first time it is called.

    `outer` layers also run for methods that do not exist; `inner` ones only for those that do.
    """

    def __init__(
        self, outer: Sequence[Layer], inner: Sequence[Layer], policies: Mapping[str, MethodPolicy]
    ) -> None:
        self._layers = [*outer, *inner]
        self._policies = policies
        self._handlers: dict[str, Any] = {}
        # A handler of this kind can refuse whatever the caller takes the method for.
        self._unknown: Any = grpc.stream_stream_rpc_method_handler(
            _entrance(_composed(outer, _refuse_unknown), UNKNOWN_METHOD, parse=_unparsed)
        )

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Return the method's handler with the layers around it."""
        path = handler_call_details.method
        known = self._handlers.get(path)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if path.startswith(EXEMPT_PREFIXES):
            return handler
        policy = self._policies.get(path)
        if handler is None or policy is None:
            # Not remembered: callers choose these paths, so there is no end of them.
            return self._unknown
        self._handlers[path] = self._layered(handler, policy)
        return self._handlers[path]

    def _layered(self, handler: Any, policy: MethodPolicy) -> Any:
        method = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        run = _composed(self._layers, _innermost(method))
        make = MAKERS[handler.request_streaming, handler.response_streaming]
        # Without a deserializer the bytes arrive as they are, and a layer parses them, so that
        # bytes that are no message get an error like all others.
        return make(
            _entrance(run, policy, parse=handler.request_deserializer),
            None,
            handler.response_serializer,
        )


def _composed(layers: Sequence[Layer], innermost: Proceed) -> Proceed:
    proceed = innermost
    for layer in reversed(layers):
        proceed = partial(layer, proceed=proceed)
    return proceed


def _entrance(run: Proceed, policy: MethodPolicy, *, parse: Parse) -> Any:
    """Return the function that gRPC calls: a coroutine for all four kinds."""

    async def enter(raw: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        metadata = dict(context.invocation_metadata() or ())
        network = client_network(metadata, context.peer())
        info = CallContext(policy.path, request_id="", network=network)
        call = ServedCall(policy, context, metadata, info, raw, parse)
        await run(call)
        return call.response

    return enter


def _innermost(method: Any) -> Proceed:
    """Return the step that calls the servicer's own method."""
    if inspect.isasyncgenfunction(method):

        async def stream(call: ServedCall) -> None:
            argument = call.request if call.requests is None else call.requests
            # Closed here, not by the garbage collector, so that a caller who goes away ends the
            # servicer's generator at once and in this task.
            async with aclosing(method(argument, call.context)) as responses:
                async for response in responses:
                    await call.context.write(response)

        return stream
    if not inspect.iscoroutinefunction(method):
        # The generated base class has plain functions for what a servicer does not implement.
        return _refuse_unknown

    async def answer(call: ServedCall) -> None:
        argument = call.request if call.requests is None else call.requests
        call.response = await method(argument, call.context)

    return answer


async def _refuse_unknown(call: ServedCall) -> None:
    raise UnknownMethod("no such method", service=call.policy.service)


def _unparsed(data: bytes) -> Any:
    return data
