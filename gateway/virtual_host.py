"""Envoy's routes: REST paths to their rules, gRPC paths to their parts, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from gateway import guard, typed
from gateway.keys import key_rule
from gateway.local_replies import BY_STATUS
from gateway.routes import Route
from gateway.tokens import token_rule
from gateway.topology import Limits, Topology
from gateway.typed import Json

BUFFER = "envoy.filters.http.buffer"
RATE_LIMIT = "envoy.filters.http.local_ratelimit"
TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
CORS = "envoy.filters.http.cors"
AUTH_PREFIX = "/v1/auth/"
NOT_CACHED = [{"header": {"key": "cache-control", "value": "no-cache"}}]


def virtual_host(topology: Topology, routes: tuple[Route, ...], pages: Iterable[Json]) -> Json:
    """Return the one virtual host; `pages` are routes that come before all others."""
    return {
        "name": "public",
        "domains": ["*"],
        "routes": [
            _preflight(topology),
            *pages,
            *(rule for group in _by_path(routes) for rule in _rest_rules(group)),
            *(_grpc_route(route, topology.limits) for route in _methods(routes)),
            _refusal({"prefix": "/"}, 404),
        ],
        "typed_per_filter_config": {CORS: _cors(topology)},
        "response_headers_to_add": [
            {"header": {"key": "x-content-type-options", "value": "nosniff"}},
        ],
    }


def _by_path(routes: tuple[Route, ...]) -> Iterable[list[Route]]:
    """Give the routes of each path together, in the order of the routes."""
    for _, group in groupby(routes, key=lambda route: route.path_regex()):
        yield list(group)


def _methods(routes: tuple[Route, ...]) -> list[Route]:
    """Return one route per gRPC method, by name."""
    return list({route.rpc.path: route for route in routes}.values())


def _preflight(topology: Topology) -> Json:
    """Return the route of CORS preflights; the filter answers before anything is forwarded.

    It must have a cluster: the filter finds no policy on a direct response.
    """
    return {
        "match": {
            "prefix": "/",
            "headers": [
                {"name": ":method", "string_match": {"exact": "OPTIONS"}},
                {"name": "origin", "present_match": True},
                {"name": "access-control-request-method", "present_match": True},
            ],
        },
        "route": {"cluster": topology.upstreams[0].part},
    }


def _rest_rules(group: list[Route]) -> Iterable[Json]:
    path = {"safe_regex": {"regex": group[0].path_regex()}}
    for route in group:
        yield {
            "match": {
                **path,
                "headers": [{"name": ":method", "string_match": {"exact": route.verb}}],
            },
            # Only until the transcoder has made it a gRPC request, which is matched anew.
            "route": {"cluster": route.part},
            "typed_per_filter_config": {
                **token_rule(route),
                **key_rule(route),
                **guard.rule(route),
                **({} if route.body else _unbuffered()),
            },
        }
    allowed = ", ".join(sorted({route.verb for route in group} | {"OPTIONS"}))
    yield {
        **_refusal(path, 405),
        "response_headers_to_add": [{"header": {"key": "allow", "value": allowed}}],
    }


def _grpc_route(route: Route, limits: Limits) -> Json:
    seconds = limits.stream_seconds if route.is_stream else limits.unary_seconds
    action: Json = {
        "cluster": route.part,
        # The service answers at the deadline itself; this is for one that no longer can.
        "timeout": f"{seconds + 2}s",
        "max_stream_duration": {"grpc_timeout_header_max": f"{seconds}s"},
    }
    if route.is_stream:
        # A run may wait in its queue for long without a word.
        action["idle_timeout"] = f"{seconds}s"
    if route.is_idempotent and not route.is_stream:
        action["retry_policy"] = _retries()
    rule: Json = {
        "match": {
            "path": route.rpc.path,
            "headers": [{"name": "content-type", "string_match": {"prefix": "application/grpc"}}],
        },
        "route": action,
        "request_headers_to_add": [
            {
                "header": {"key": "grpc-timeout", "value": f"{seconds}S"},
                "append_action": "ADD_IF_ABSENT",
            }
        ],
        "typed_per_filter_config": {**token_rule(route), **key_rule(route), **_unbuffered()},
    }
    if route.is_stream:
        rule["response_headers_to_add"] = NOT_CACHED
    if route.template.startswith(AUTH_PREFIX) and route.is_open:
        rule["typed_per_filter_config"][RATE_LIMIT] = _rate_limit(limits)
    return rule


def _retries() -> Json:
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request,unavailable",
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
        "retry_host_predicate": [
            typed.extension(
                "envoy.retry_host_predicates.previous_hosts",
                "retry.host.previous_hosts.v3.PreviousHostsPredicate",
            )
        ],
        "host_selection_retry_max_attempts": 3,
    }


def _rate_limit(limits: Limits) -> Json:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return typed.config(
        "filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="auth",
        token_bucket={
            "max_tokens": limits.auth_requests_per_second,
            "tokens_per_fill": limits.auth_requests_per_second,
            "fill_interval": "1s",
        },
        filter_enabled=always,
        filter_enforced=always,
        response_headers_to_add=[{"header": {"key": "retry-after", "value": "1"}}],
    )


def _unbuffered() -> Json:
    return {BUFFER: typed.config("filters.http.buffer.v3.BufferPerRoute", disabled=True)}


def _cors(topology: Topology) -> Json:
    origins = [
        {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin}
        for origin in topology.allowed_origins
    ]
    return typed.config(
        "filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=origins,
        allow_methods="GET, POST, PUT, PATCH, DELETE, OPTIONS",
        allow_headers=(
            "authorization, content-type, idempotency-key, x-reelmesh-org, x-request-id, "
            "traceparent"
        ),
        expose_headers="x-request-id, location, retry-after",
        max_age="600",
    )


def _refusal(match: Json, status: int) -> Json:
    """Return a route that refuses; the mapping of local replies replaces the body."""
    body = {"inline_string": BY_STATUS[status][2]}
    return {
        "match": match,
        "direct_response": {"status": status, "body": body},
        "typed_per_filter_config": untranscoded(),
    }


def untranscoded() -> Json:
    """Return the part of a route that Envoy answers itself: the transcoder would refuse it."""
    kind = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
    return {TRANSCODER: {"@type": kind, "disabled": True}}
