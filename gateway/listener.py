"""The listener: connections, the HTTP settings of the edge, and its access log."""

from __future__ import annotations

from typing import Any

from gateway import typed
from gateway.clusters import socket_address
from gateway.local_replies import local_replies
from gateway.topology import Topology
from gateway.typed import Json

SERVER_NAME = "reelmesh"
# What only services say to each other; from outside it would be a lie.
INTERNAL_HEADERS = ("x-reelmesh-service", "x-http-code", "x-envoy-original-path")
DIRECT_RESPONSE_BYTES_MAX = 4 * 1024 * 1024
# Paths only, without the query: a query may hold what logs must not.
LOGGED = {
    "time": "%START_TIME%",
    "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
    "path": "%PATH(NQ:ORIG_OR_PATH)%",
    "rpc": "%PATH(NQ:PATH)%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "upstream": "%UPSTREAM_HOST%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}


def listener(topology: Topology, host: Json, filters: list[Json]) -> Json:
    """Return the one listener with its virtual host and HTTP filters."""
    manager = typed.extension(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="edge",
        codec_type="AUTO",
        server_name=SERVER_NAME,
        access_log=[_access_log(topology.access_log)],
        route_config={
            "name": "public",
            "virtual_hosts": [host],
            "max_direct_response_body_size_bytes": DIRECT_RESPONSE_BYTES_MAX,
        },
        http_filters=filters,
        local_reply_config=local_replies(),
        **_request_ids(),
        **_strictness(),
    )
    return {
        "name": "edge",
        "address": socket_address(topology.listen),
        "filter_chains": [{"filters": [manager]}],
        # A reply must fit in whole, because the transcoder collects it.
        "per_connection_buffer_limit_bytes": 2 * topology.limits.reply_bytes_max,
    }


def _request_ids() -> dict[str, Any]:
    return {
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
    }


def _strictness() -> dict[str, Any]:
    mutations = [{"remove": header} for header in INTERNAL_HEADERS]
    return {
        # The client is whoever connects; what it says of itself is not believed.
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "60s",
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65_536,
            "initial_connection_window_size": 1_048_576,
        },
        "early_header_mutation_extensions": [
            typed.extension(
                "envoy.http.early_header_mutation.header_mutation",
                "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=mutations,
            )
        ],
    }


def _access_log(file: str | None) -> Json:
    log_format = {"json_format": LOGGED, "omit_empty_values": True}
    if file is None:
        return typed.extension(
            "envoy.access_loggers.stdout",
            "access_loggers.stream.v3.StdoutAccessLog",
            log_format=log_format,
        )
    return typed.extension(
        "envoy.access_loggers.file",
        "access_loggers.file.v3.FileAccessLog",
        path=file,
        log_format=log_format,
    )
