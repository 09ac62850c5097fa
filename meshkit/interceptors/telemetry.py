"""Continues the caller's trace and counts each call per method and code."""

from __future__ import annotations

import asyncio
from functools import cache

import grpc
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram

from meshkit.interceptors.call import Proceed, ServedCall
from meshkit.telemetry import TRACER_NAME, child_traceparent, exporting_provider

TRACEPARENT_KEY = "traceparent"
TRACESTATE_KEY = "tracestate"
SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
METHOD_LABELS = ("grpc_service", "grpc_method")

HANDLED = Counter("grpc_server_handled_total", "Calls that ended.", (*METHOD_LABELS, "grpc_code"))
SECONDS = Histogram(
    "grpc_server_handling_seconds", "Time a call took.", METHOD_LABELS, buckets=SECONDS_BUCKETS
)
IN_FLIGHT = Gauge("grpc_server_in_flight", "Calls being served now.", METHOD_LABELS)

propagator = TraceContextTextMapPropagator()


class Telemetry:
    """Opens a server span per call, if spans are exported, and keeps the Prometheus metrics."""

    def __init__(self, tracer_provider: trace.TracerProvider | None = None) -> None:
        provider = tracer_provider or exporting_provider()
        self._tracer = None if provider is None else provider.get_tracer(TRACER_NAME)

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """Measure the rest of the call."""
        policy = call.policy
        in_flight = _in_flight(policy.service, policy.name)
        in_flight.inc()
        try:
            if self._tracer is None:
                call.info.traceparent = child_traceparent(call.text(TRACEPARENT_KEY))
                await proceed(call)
            else:
                await _traced(self._tracer, call, proceed)
        except asyncio.CancelledError:
            call.code = grpc.StatusCode.CANCELLED
            raise
        finally:
            in_flight.dec()
            _handled(policy.service, policy.name, call.code.name).inc()
            _seconds(policy.service, policy.name).observe(call.elapsed_seconds())


async def _traced(tracer: trace.Tracer, call: ServedCall, proceed: Proceed) -> None:
    span = tracer.start_span(
        f"{call.policy.service}/{call.policy.name}",
        context=propagator.extract(_carrier(call)),
        kind=SpanKind.SERVER,
    )
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            call.info.traceparent = _traceparent(span)
            await proceed(call)
    except asyncio.CancelledError:
        call.code = grpc.StatusCode.CANCELLED
        raise
    finally:
        _describe(span, call)
        span.end()


def _carrier(call: ServedCall) -> dict[str, str]:
    carrier = {}
    for key in (TRACEPARENT_KEY, TRACESTATE_KEY):
        value = call.text(key)
        if value is not None:
            carrier[key] = value
    return carrier


def _traceparent(span: trace.Span) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _describe(span: trace.Span, call: ServedCall) -> None:
    if not span.is_recording():
        return
    span.set_attributes(
        {
            "rpc.system": "grpc",
            "rpc.service": call.policy.service,
            "rpc.method": call.policy.name,
            "rpc.grpc.status_code": call.code.value[0],
            "reelmesh.request_id": call.info.request_id,
        }
    )
    if call.code is not grpc.StatusCode.OK:
        span.set_status(Status(StatusCode.ERROR, call.reason or call.code.name))


# Finding a labelled child takes a lock and a hash of the labels, so each is found once.
@cache
def _handled(service: str, method: str, code: str) -> Counter:
    return HANDLED.labels(service, method, code)


@cache
def _seconds(service: str, method: str) -> Histogram:
    return SECONDS.labels(service, method)


@cache
def _in_flight(service: str, method: str) -> Gauge:
    return IN_FLIGHT.labels(service, method)
