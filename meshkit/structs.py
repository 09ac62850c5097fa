"""JSON documents to Struct messages and back, with bounds on what callers may send."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

SIZE_BYTES_MAX = 65_536
DEPTH_MAX = 6
# Doubles hold whole numbers exactly up to here.
WHOLE_MAX = 2**53


class UnacceptableStruct(Exception):
    """A Struct is too large or too deep, or holds what JSON cannot say."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field} {description}")
        self.field = field
        self.description = description


def plain(struct: Struct) -> dict[str, Any]:
    """Return a Struct as a JSON document; whole numbers come back as integers.

    Raises:
        UnacceptableStruct: it is over 64 KiB or 6 levels, or a number is not finite.
    """
    if struct.ByteSize() > SIZE_BYTES_MAX:
        raise UnacceptableStruct("", f"must be at most {SIZE_BYTES_MAX} bytes")
    return _object(struct, depth=1)


def struct_of(document: Mapping[str, Any]) -> Struct:
    """Return a JSON document as a Struct."""
    struct = Struct()
    struct.update(document)
    return struct


def _object(struct: Struct, *, depth: int) -> dict[str, Any]:
    return {name: _value(value, name, depth=depth + 1) for name, value in struct.fields.items()}


def _value(value: Value, name: str, *, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise UnacceptableStruct(name, f"must be at most {DEPTH_MAX} levels deep")
    match value.WhichOneof("kind"):
        case "number_value":
            return _number(value.number_value, name)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _object(value.struct_value, depth=depth)
        case "list_value":
            return [_value(item, name, depth=depth + 1) for item in value.list_value.values]
    return None


def _number(number: float, name: str) -> int | float:
    if not math.isfinite(number):
        raise UnacceptableStruct(name, "must be a finite number")
    if number.is_integer() and abs(number) <= WHOLE_MAX:
        return int(number)
    return number
