"""The guard of JSON bodies: tables of the known fields, and the Lua that reads bodies by them."""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

from gateway import typed
from gateway.descriptors import Descriptors
from gateway.routes import Route
from gateway.typed import Json

FILTER = "envoy.filters.http.lua"
SCRIPT = "guard.lua"

STRING, NUMBER, BOOLEAN, ENUM, MESSAGE, OBJECT, ANYTHING = "snbemoa"
KINDS = {
    Field.TYPE_STRING: STRING,
    Field.TYPE_BYTES: STRING,
    Field.TYPE_BOOL: BOOLEAN,
    Field.TYPE_ENUM: ENUM,
}
# Messages with a JSON form of their own (protobuf's JSON mapping).
WELL_KNOWN_KINDS = {
    "google.protobuf.Timestamp": STRING,
    "google.protobuf.Duration": STRING,
    "google.protobuf.FieldMask": STRING,
    "google.protobuf.Struct": OBJECT,
    "google.protobuf.Value": ANYTHING,
    "google.protobuf.ListValue": ANYTHING,
    "google.protobuf.Any": ANYTHING,
}

# A body that the transcoder passes on byte by byte.
RAW_BODY = "google.api.HttpBody"

Rules = dict[str, dict[str, Json]]


def guard_filter(routes: tuple[Route, ...], descriptors: Descriptors) -> Json:
    """Return the filter with its script: tables first, then the code that reads them."""
    source = f"{tables(routes, descriptors)}\n{script()}"
    return typed.extension(
        FILTER, "filters.http.lua.v3.Lua", default_source_code={"inline_string": source}
    )


def rule(route: Route) -> Json:
    """Return a REST route's own part: the name under which the script finds its table."""
    context = {"rpc": _key(route)}
    return {FILTER: typed.config("filters.http.lua.v3.LuaPerRoute", filter_context=context)}


def script() -> str:
    """Return the script without its tables."""
    return (resources.files("gateway") / SCRIPT).read_text()


def tables(routes: tuple[Route, ...], descriptors: Descriptors) -> str:
    """Return the Lua tables: MESSAGES by name, and BODIES by route."""
    messages: Rules = {}
    bodies: dict[str, Json] = {}
    for route in routes:
        if route.body and not is_raw(route, descriptors):
            bodies[_key(route)] = _body_rule(route, descriptors, messages)
    return f"local MESSAGES = {_lua(messages)}\nlocal BODIES = {_lua(bodies)}"


def is_raw(route: Route, descriptors: Descriptors) -> bool:
    """Return whether the body is taken as it is, whatever it holds: it is signed byte by byte."""
    fields = descriptors.message(route.request_type).field
    return any(field.name == route.body and field.type_name == f".{RAW_BODY}" for field in fields)


def _body_rule(route: Route, descriptors: Descriptors, messages: Rules) -> Json:
    if route.body != "*":
        fields = descriptors.message(route.request_type).field
        field = next(field for field in fields if field.name == route.body)
        return _field_rule(field, descriptors, messages)
    _add(route.request_type, descriptors, messages)
    known = messages[route.request_type]
    # What the path says must not be said again, perhaps otherwise, in the body.
    bound = {name: known[name] for name in known if name not in route.variables}
    return {"kind": MESSAGE, "type": route.request_type, "bound": bound}


def _add(name: str, descriptors: Descriptors, messages: Rules) -> None:
    if name in messages:
        return
    messages[name] = {}
    for field in descriptors.message(name).field:
        messages[name][field.name] = _field_rule(field, descriptors, messages)


def _field_rule(field: Field, descriptors: Descriptors, messages: Rules) -> Json:
    value = descriptors.map_value(field)
    if value is not None:
        return {**_single(value, descriptors, messages), "map": True}
    single = _single(field, descriptors, messages)
    return {**single, "list": True} if field.label == Field.LABEL_REPEATED else single


def _single(field: Field, descriptors: Descriptors, messages: Rules) -> Json:
    if field.type != Field.TYPE_MESSAGE:
        return {"kind": KINDS.get(field.type, NUMBER)}
    name = field.type_name.removeprefix(".")
    if name in WELL_KNOWN_KINDS:
        return {"kind": WELL_KNOWN_KINDS[name]}
    _add(name, descriptors, messages)
    return {"kind": MESSAGE, "type": name}


def _key(route: Route) -> str:
    return f"{route.verb} {route.template}"


def _lua(value: Any) -> str:
    if isinstance(value, dict):
        items = ", ".join(f"[{_lua(key)}] = {_lua(item)}" for key, item in value.items())
        return "{" + items + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    # Names from protos and paths; nothing in them needs an escape.
    assert '"' not in text, text
    assert "\\" not in text, text
    return f'"{text}"'
