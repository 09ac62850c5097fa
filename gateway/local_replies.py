"""Envoy's own refusals, in the same shape as those of the services."""

from __future__ import annotations

from typing import Any

from gateway import typed
from gateway.typed import Json

DOMAIN = "edge.reelmesh"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
# The guard writes whole errors by itself and says so with this dynamic metadata.
WRITTEN_NAMESPACE = "reelmesh.edge"
WRITTEN_KEY = "written"

INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16

# HTTP status: code of google.rpc.Code, reason, message.
BY_STATUS = {
    400: (INVALID_ARGUMENT, "MALFORMED_REQUEST", "the request is malformed"),
    403: (PERMISSION_DENIED, "PERMISSION_DENIED", "this is not allowed"),
    404: (NOT_FOUND, "ROUTE_NOT_FOUND", "no such path"),
    405: (UNIMPLEMENTED, "METHOD_NOT_ALLOWED", "this path takes other methods"),
    408: (DEADLINE_EXCEEDED, "REQUEST_TIMEOUT", "the request did not arrive in time"),
    413: (INVALID_ARGUMENT, "REQUEST_TOO_LARGE", "the request's body is too large"),
    415: (INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE", "the body must be application/json"),
    429: (RESOURCE_EXHAUSTED, "RATE_LIMITED", "too many requests; try again in a second"),
    431: (INVALID_ARGUMENT, "HEADERS_TOO_LARGE", "the request's headers are too large"),
    500: (INTERNAL, "INTERNAL", "internal error"),
    502: (UNAVAILABLE, "UNAVAILABLE", "the service is unavailable; try again"),
    503: (UNAVAILABLE, "UNAVAILABLE", "the service is unavailable; try again"),
    504: (DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "the service took too long"),
}
# What the filters of keys and tokens say in the response code details: reason, message.
BY_TOKEN_FAILURE = {
    "ext_authz_denied": ("API_KEY_INVALID", "the API key is unknown, revoked or expired"),
    "Jwt_is_missing": ("TOKEN_MISSING", "this needs a token"),
    "Jwt_is_expired": ("TOKEN_EXPIRED", "the token has expired"),
}


def local_replies() -> Json:
    """Return the mapping of local replies; the first mapper that fits is taken."""
    return {
        "mappers": [
            _as_it_is(_written_by_guard(), content_type="application/json"),
            # In a gRPC call the text becomes the grpc-message.
            _as_it_is(_is_native_grpc()),
            _mapper(_detail("Jwks_remote_fetch_is_failed"), _error(*BY_STATUS[503]), status=503),
            *(
                _mapper(_detail(detail), _error(UNAUTHENTICATED, reason, message))
                for detail, (reason, message) in BY_TOKEN_FAILURE.items()
            ),
            # Envoy answers 403 to a wrong audience, but such a caller is nobody we know.
            _mapper(
                _detail("jwt_authn_access_denied"),
                _error(UNAUTHENTICATED, "TOKEN_INVALID", "the token is not valid"),
                status=401,
            ),
            # The transcoder says what is wrong with the body or the query.
            _mapper(
                _both(_status(400), _detail("grpc_json_transcod")),
                _error(INVALID_ARGUMENT, "MALFORMED_REQUEST", "%LOCAL_REPLY_BODY%"),
            ),
            *(_mapper(_status(status), _error(*error)) for status, error in BY_STATUS.items()),
        ]
    }


def _error(code: int, reason: str, message: str) -> Json:
    info = {
        "@type": ERROR_INFO,
        "reason": reason,
        "domain": DOMAIN,
        "metadata": {"request_id": "%REQ(X-REQUEST-ID)%"},
    }
    return {"code": code, "message": message, "details": [info]}


def _mapper(condition: Json, error: Json, *, status: int | None = None) -> Json:
    mapper: Json = {"filter": condition, "body_format_override": {"json_format": error}}
    if status is not None:
        mapper["status_code"] = status
    return mapper


def _as_it_is(condition: Json, **format_: Any) -> Json:
    body = {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}, **format_}
    return {"filter": condition, "body_format_override": body}


def _status(status: int) -> Json:
    value = {"default_value": status, "runtime_key": f"edge.local_reply.{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _detail(text: str) -> Json:
    expression = f"response.code_details.contains('{text}')"
    return {
        "extension_filter": typed.extension(
            "envoy.access_loggers.extension_filters.cel",
            "access_loggers.filters.cel.v3.ExpressionFilter",
            expression=expression,
        )
    }


def _both(*filters: Json) -> Json:
    return {"and_filter": {"filters": list(filters)}}


def _written_by_guard() -> Json:
    return {
        "metadata_filter": {
            "matcher": {
                "filter": WRITTEN_NAMESPACE,
                "path": [{"key": WRITTEN_KEY}],
                "value": {"bool_match": True},
            },
            "match_if_key_not_found": False,
        }
    }


def _is_native_grpc() -> Json:
    """Return the condition of a call that came as gRPC, not as REST made into gRPC."""
    content_type = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    original_path = {
        "name": "x-envoy-original-path",
        "present_match": True,
        "invert_match": True,
    }
    return _both(
        {"header_filter": {"header": content_type}}, {"header_filter": {"header": original_path}}
    )
