"""Logs, traces and metrics of a process: JSON lines, OpenTelemetry and Prometheus."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import prometheus_client
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from meshkit.context import find_current

OTLP_ENDPOINT_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACER_NAME = "meshkit"
TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
TRACEPARENT = re.compile(
    r"00-(?P<trace_id>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})"
)
STANDARD_ATTRIBUTES = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
)
# Whatever a caller hands to a logger under these names stays out of the logs.
SECRET_WORDS = ("token", "password", "secret", "authorization", "credential", "private_key")
HIDDEN = "[hidden]"


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: UTC time, level, logger, message, call and extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        call = find_current()
        if call is not None:
            fields["request_id"] = call.request_id
            fields["trace_id"] = trace_id_of(call.traceparent)
        for name, value in vars(record).items():
            if name not in STANDARD_ATTRIBUTES:
                fields[name] = HIDDEN if _is_secret(name) else value
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


def configure(service_name: str, *, log_level: str = "INFO") -> None:
    """Set up logging to stderr and tracing for the process; called once, at its start.

    Spans are exported only if the standard variable OTEL_EXPORTER_OTLP_ENDPOINT is set; without
    it, trace ids still travel from call to call and into the logs.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level.upper())
    logging.captureWarnings(capture=True)
    if os.environ.get(OTLP_ENDPOINT_VARIABLE):
        provider = TracerProvider(resource=Resource.create({"service.name": service_name}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)


def exporting_provider() -> trace.TracerProvider | None:
    """Return the process's provider of spans, or None if nobody would receive them."""
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


def child_traceparent(parent: str | None) -> str:
    """Return the W3C traceparent of a step of the parent's trace, or of a new trace.

    This is what travels on when no spans are exported: it costs a microsecond, a span fifty.
    """
    span_id = secrets.token_hex(SPAN_ID_BYTES)
    match = TRACEPARENT.fullmatch(parent) if parent else None
    if match is None:
        return f"00-{secrets.token_hex(TRACE_ID_BYTES)}-{span_id}-00"
    return f"00-{match['trace_id']}-{span_id}-{match['flags']}"


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id of a W3C traceparent."""
    match = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return match["trace_id"] if match else None


@contextmanager
def metrics_endpoint(listen: str | None) -> Iterator[int | None]:
    """Serve `/metrics` at host:port while open; gives the port, or None without an address."""
    if listen is None:
        yield None
        return
    host, _, port = listen.rpartition(":")
    server, thread = prometheus_client.start_http_server(int(port), addr=host)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return any(word in lowered for word in SECRET_WORDS)
