"""The OpenAPI 3.1 description of the public API, made from the descriptors."""

from __future__ import annotations

import re

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

from gateway.descriptors import Descriptors
from gateway.errors import ERROR_SCHEMAS, error_response, errors_by_status
from gateway.guard import RAW_BODY, is_raw
from gateway.routes import Route
from gateway.schemas import Schemas
from gateway.typed import Json

TITLE = "Reelmesh"
DESCRIPTION = (
    "Accounts, credits, assets and AI tools. Ids are TypeIDs, times are RFC 3339, credits are "
    "whole numbers. Unknown fields and query parameters are refused."
)
SECURITY_SCHEME = "access_token"
IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
}
ORGANIZATION: Json = {
    "name": "X-Reelmesh-Org",
    "in": "header",
    "required": False,
    "description": (
        "The organization to act in; without it the user's personal one, or the API key's own."
    ),
    "schema": {"type": "string", "examples": ["org_01k..."]},
}
# A comment says "answers 302" where a reply is more than a 200.
ANSWERS = re.compile(r"\banswers (\d{3})\b")
# And "The body is text/html" where it is no message.
BODY_TYPE = re.compile(r"\bThe body is ([a-z]+/[a-z0-9.+-]+)")


def openapi_document(descriptors: Descriptors, routes: tuple[Route, ...]) -> Json:
    """Return the document of all routes, in the order of their paths."""
    schemas = Schemas(descriptors)
    paths: dict[str, Json] = {}
    for route in sorted(routes, key=lambda route: (route.template, route.verb)):
        operation = _operation(route, descriptors, schemas)
        paths.setdefault(route.template, {})[route.verb.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "v1", "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": _tags(descriptors, routes),
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**schemas.components, **ERROR_SCHEMAS}.items())),
            "securitySchemes": {
                SECURITY_SCHEME: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A session's access token (a JWT), or an API key (rmk_...).",
                }
            },
        },
    }


def _tags(descriptors: Descriptors, routes: tuple[Route, ...]) -> list[Json]:
    """Give one tag a package, described by all services in it."""
    comments: dict[str, list[str]] = {}
    for service in sorted({route.rpc.service for route in routes}):
        comments.setdefault(_tag(service), []).append(descriptors.comments.get(service, ""))
    return [{"name": name, "description": "\n\n".join(about)} for name, about in comments.items()]


def _tag(service: str) -> str:
    """Return "identity" for `reelmesh.platform.identity.v1.IdentityService`."""
    return service.split(".")[2]


def _operation(route: Route, descriptors: Descriptors, schemas: Schemas) -> Json:
    comment = descriptors.comments.get(f"{route.rpc.service}.{route.rpc.name}", "")
    about, _, errors = comment.partition("Errors:")
    operation: Json = {
        "operationId": route.rpc.name,
        "tags": [_tag(route.rpc.service)],
        "summary": _summary(route.rpc.name, about),
        "description": about.strip(),
        "security": [] if route.is_open else [{SECURITY_SCHEME: []}],
    }
    parameters = _parameters(route, descriptors, schemas)
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        operation["requestBody"] = _request_body(route, descriptors, schemas)
    operation["responses"] = {
        **_reply(route, about, schemas),
        **{
            str(status): error_response("; ".join(reasons))
            for status, reasons in errors_by_status(
                errors, is_open=route.is_open, permission=route.permission
            ).items()
        },
        "default": error_response("Any other error."),
    }
    return operation


def _summary(name: str, about: str) -> str:
    """Return the first sentence of a comment without the method's name, with which it begins."""
    sentence = about.strip().partition(". ")[0].rstrip(".").removeprefix(f"{name} ")
    return sentence[:1].upper() + sentence[1:]


def _parameters(route: Route, descriptors: Descriptors, schemas: Schemas) -> list[Json]:
    message = descriptors.message(route.request_type)
    parameters = []
    for field in message.field:
        in_path = field.name in route.variables
        if not in_path and (route.body or not _fits_query(field)):
            continue
        schema = schemas.field(route.request_type, field, is_request=True)
        description = schema.pop("description", "")
        parameters.append(
            {
                "name": field.name,
                "in": "path" if in_path else "query",
                "required": in_path,
                **({"description": description} if description else {}),
                "schema": schema,
            }
        )
    if route.permission and not route.organization_field:
        parameters.append(ORGANIZATION)
    if route.idempotency_key:
        parameters.append({**IDEMPOTENCY_KEY, "description": route.idempotency_key})
    return parameters


def _fits_query(field: Field) -> bool:
    return field.type != Field.TYPE_MESSAGE


def _request_body(route: Route, descriptors: Descriptors, schemas: Schemas) -> Json:
    if is_raw(route, descriptors):
        schema: Json = {"type": "object", "description": "Taken as it is, byte by byte."}
    elif route.body == "*":
        schema = schemas.request(route.request_type, without=route.variables)
    else:
        fields = descriptors.message(route.request_type).field
        field = next(field for field in fields if field.name == route.body)
        schema = schemas.field(route.request_type, field, is_request=True)
    # An empty body is an empty message, whose fields the service then misses by name.
    return {"content": {"application/json": {"schema": schema}}}


def _reply(route: Route, about: str, schemas: Schemas) -> Json:
    if route.response_type == RAW_BODY:
        match = BODY_TYPE.search(about)
        assert match is not None, f"{route.rpc.path} does not say what its body is"
        body = {"schema": {"type": "string", "format": "binary"}}
        return {"200": {"description": "Done.", "content": {match[1]: body}}}
    reference = schemas.reply(route.response_type)
    if route.is_stream:
        schema = {
            "type": "string",
            "description": "Server-sent events; the data of each is one JSON object.",
        }
        content = {"text/event-stream": {"schema": schema, "x-data-schema": reference}}
    else:
        content = {"application/json": {"schema": reference}}
    match = ANSWERS.search(about)
    if match is None:
        return {"200": {"description": "Done.", "content": content}}
    location = {"schema": {"type": "string", "format": "uri"}, "required": True}
    redirect = {"description": "Go there.", "headers": {"Location": location}, "content": content}
    return {match[1]: redirect}
