"""The HTTP filters of the edge, in the order in which a request meets them."""

from __future__ import annotations

from pathlib import Path

from gateway import guard, typed
from gateway.descriptors import Descriptors
from gateway.keys import key_filter
from gateway.routes import Route
from gateway.tokens import token_filter
from gateway.topology import Topology
from gateway.typed import Json
from gateway.virtual_host import BUFFER, CORS, RATE_LIMIT, TRANSCODER

HEALTH_PATH = "/healthz"
HEALTHY_PERCENT_MIN = 1


def http_filters(
    topology: Topology, routes: tuple[Route, ...], descriptors: Descriptors, proto_file: Path
) -> list[Json]:
    """Return the filters; `proto_file` is where Envoy finds the descriptor set.

    Keys are traded for tokens, then strangers are turned away before anything of theirs is
    buffered; the guard reads the body before the transcoder drops what it does not know; the rate
    limit comes after the transcoder, so that one bucket counts a method's REST and gRPC calls.
    """
    return [
        _health(topology),
        typed.extension(CORS, "filters.http.cors.v3.Cors"),
        key_filter(topology),
        token_filter(topology),
        typed.extension(
            BUFFER,
            "filters.http.buffer.v3.Buffer",
            max_request_bytes=topology.limits.body_bytes_max,
        ),
        guard.guard_filter(routes, descriptors),
        _transcoder(topology, routes, proto_file),
        typed.extension(
            RATE_LIMIT,
            "filters.http.local_ratelimit.v3.LocalRateLimit",
            stat_prefix="edge",
        ),
        typed.extension(
            "envoy.filters.http.grpc_stats",
            "filters.http.grpc_stats.v3.FilterConfig",
            stats_for_all_methods=True,
            # Without this the dots of package names break the Prometheus labels.
            replace_dots_in_grpc_service_name=True,
        ),
        typed.extension(
            "envoy.filters.http.router",
            "filters.http.router.v3.Router",
            suppress_envoy_headers=True,
        ),
    ]


def _health(topology: Topology) -> Json:
    return typed.extension(
        "envoy.filters.http.health_check",
        "filters.http.health_check.v3.HealthCheck",
        pass_through_mode=False,
        headers=[{"name": ":path", "string_match": {"exact": HEALTH_PATH}}],
        cluster_min_healthy_percentages={
            upstream.part: {"value": HEALTHY_PERCENT_MIN} for upstream in topology.upstreams
        },
    )


def _transcoder(topology: Topology, routes: tuple[Route, ...], proto_file: Path) -> Json:
    return typed.extension(
        TRANSCODER,
        "filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(proto_file),
        services=sorted({route.rpc.service for route in routes}),
        convert_grpc_status=True,
        print_options={
            "preserve_proto_field_names": True,
            "always_print_primitive_fields": True,
            "stream_sse_style_delimited": True,
        },
        request_validation_options={
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        query_param_unescape_plus=True,
        url_unescape_spec="ALL_CHARACTERS_EXCEPT_SLASH",
        max_request_body_size=topology.limits.body_bytes_max,
        # JSON is longer than the message that it is made from.
        max_response_body_size=2 * topology.limits.reply_bytes_max,
    )
