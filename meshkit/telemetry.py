"""Logs, traces and metrics of a process: JSON lines, OpenTelemetry and Prometheus."""

from __future__ import annotations

import json
import logging
import os
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
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

from meshkit.context import find_current

OTLP_ENDPOINT_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACER_NAME = "meshkit"
TRACEPARENT_PARTS = 4
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
    trace.set_tracer_provider(tracer_provider(service_name))


def tracer_provider(service_name: str) -> TracerProvider:
    """Return the provider of a process's spans."""
    resource = Resource.create({"service.name": service_name})
    if not os.environ.get(OTLP_ENDPOINT_VARIABLE):
        # Unsampled spans cost a few microseconds and still carry ids onwards.
        return TracerProvider(sampler=ALWAYS_OFF, resource=resource, shutdown_on_exit=False)
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(1.0)), resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id of a W3C traceparent."""
    parts = traceparent.split("-") if traceparent else []
    return parts[1] if len(parts) >= TRACEPARENT_PARTS else None


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
