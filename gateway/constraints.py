"""protovalidate rules as JSON Schema keywords."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from gateway.descriptors import validate_pb2
from gateway.typed import Json

NUMBERS = frozenset(
    {
        *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"),
        *("fixed32", "fixed64", "sfixed32", "sfixed64"),
    }
)
FORMATS = {
    "email": "email",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uri": "uri",
    "uri_ref": "uri-reference",
    "uuid": "uuid",
}
BOUNDS = {
    "gt": "exclusiveMinimum",
    "gte": "minimum",
    "lt": "exclusiveMaximum",
    "lte": "maximum",
}


def rules_of(field: FieldDescriptorProto) -> Any:
    """Return the field's rules; empty ones if it has none."""
    options: Any = field.options
    return options.Extensions[validate_pb2.field]


def keywords(rules: Any) -> Json:
    """Return the keywords that say what the rules of one value say."""
    kind = rules.WhichOneof("type")
    if kind is None:
        return {}
    rule = getattr(rules, kind)
    if kind == "string":
        return _string(rule)
    if kind in NUMBERS:
        return _number(rule)
    if kind == "repeated":
        return _given({"min_items": "minItems", "max_items": "maxItems"}, rule) | (
            {"uniqueItems": True} if rule.unique else {}
        )
    if kind == "map":
        return _given({"min_pairs": "minProperties", "max_pairs": "maxProperties"}, rule)
    return {}


def is_required(field: FieldDescriptorProto) -> bool:
    """Return whether leaving the field out breaks its rules."""
    rules = rules_of(field)
    if rules.required:
        return True
    if field.proto3_optional or field.type == FieldDescriptorProto.TYPE_MESSAGE:
        return False
    return _refuses_zero(rules)


def _refuses_zero(rules: Any) -> bool:
    kind = rules.WhichOneof("type")
    if kind is None:
        return False
    rule = getattr(rules, kind)
    if kind == "string":
        refused = rule.min_len > 0 or rule.email or (rule.pattern and not _matches_empty(rule))
        return bool(refused or ("in" in _names(rule) and "" not in getattr(rule, "in")))
    if kind in NUMBERS:
        above = (rule.HasField("gt") and rule.gt >= 0) or (rule.HasField("gte") and rule.gte > 0)
        return bool(above)
    if kind == "repeated":
        return bool(rule.min_items > 0)
    return kind == "enum" and 0 in rule.not_in


def _matches_empty(rule: Any) -> bool:
    return re.search(rule.pattern, "") is not None


def _string(rule: Any) -> Json:
    found = _given({"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern"}, rule)
    if rule.HasField("len"):
        found |= {"minLength": rule.len, "maxLength": rule.len}
    if rule.HasField("prefix"):
        found["pattern"] = f"^{re.escape(rule.prefix)}"
    if rule.HasField("const"):
        found["const"] = rule.const
    if "in" in _names(rule):
        found["enum"] = list(getattr(rule, "in"))
    known = rule.WhichOneof("well_known")
    if known in FORMATS:
        found["format"] = FORMATS[known]
    return found


def _number(rule: Any) -> Json:
    found: Json = {BOUNDS[name]: getattr(rule, name) for name in BOUNDS if rule.HasField(name)}
    if rule.HasField("const"):
        found["const"] = rule.const
    if "in" in _names(rule):
        found["enum"] = list(getattr(rule, "in"))
    return found


def _given(names: dict[str, str], rule: Any) -> Json:
    return {keyword: getattr(rule, name) for name, keyword in names.items() if rule.HasField(name)}


def _names(rule: Any) -> set[str]:
    return {descriptor.name for descriptor, _ in rule.ListFields()}
