"""The errors of the public API: their shape, and those that a method's comment names."""

from __future__ import annotations

import re

from gateway.typed import Json

# google.rpc.Code to HTTP, as the transcoder maps them.
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
NAMED = re.compile(r"([A-Z_]+) \(([A-Z_, ]+)\)")
TOKEN_REASONS = "UNAUTHENTICATED: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, API_KEY_INVALID"  # noqa: S105 - no secret
KEY_REASONS = "PERMISSION_DENIED: CALLER_NOT_ALLOWED"
MEMBER_REASONS = "PERMISSION_DENIED: NOT_A_MEMBER, PERMISSION_DENIED, SCOPE_MISSING"
ERROR_SCHEMAS: dict[str, Json] = {
    "Error": {
        "type": "object",
        "description": "google.rpc.Status. The first detail is an ErrorInfo.",
        "properties": {
            "code": {"type": "integer", "description": "A value of google.rpc.Code."},
            "message": {"type": "string", "description": "For people; it may change."},
            "details": {
                "type": "array",
                "prefixItems": [{"$ref": "#/components/schemas/ErrorInfo"}],
                "items": {"$ref": "#/components/schemas/BadRequest"},
            },
        },
        "required": ["code", "message", "details"],
    },
    "ErrorInfo": {
        "type": "object",
        "description": "Why, for programs: the pair of domain and reason never changes.",
        "properties": {
            "@type": {"const": "type.googleapis.com/google.rpc.ErrorInfo"},
            "reason": {"type": "string", "examples": ["INSUFFICIENT_CREDITS"]},
            "domain": {"type": "string", "examples": ["platform.reelmesh"]},
            "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        },
        "required": ["@type", "reason", "domain"],
    },
    "BadRequest": {
        "type": "object",
        "description": "Which fields are wrong.",
        "properties": {
            "@type": {"const": "type.googleapis.com/google.rpc.BadRequest"},
            "field_violations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string"},
                        "description": {"type": "string"},
                    },
                },
            },
        },
        "required": ["@type"],
    },
}


def error_response(description: str) -> Json:
    """Return a response with the one shape of errors."""
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def errors_by_status(comment: str, *, is_open: bool, permission: str = "") -> dict[int, list[str]]:
    """Return what a comment's "Errors:" part names, such as {404: ["NOT_FOUND: RUN_NOT_FOUND"]}.

    Every method may find its request, its caller's token or their rights wrong, so these need
    not be named.
    """
    found: dict[int, list[str]] = {400: ["INVALID_ARGUMENT: INVALID_REQUEST, MALFORMED_REQUEST"]}
    if not is_open:
        found[401] = [TOKEN_REASONS]
        # A key is refused where no permission, and so no scope, is asked for.
        found[403] = [MEMBER_REASONS if permission else KEY_REASONS]
    for code, reasons in NAMED.findall(comment):
        if code in HTTP_STATUS:
            found.setdefault(HTTP_STATUS[code], []).append(f"{code}: {reasons}")
    return dict(sorted(found.items()))
