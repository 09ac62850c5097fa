"""Inputs of a run: checked against the tool's schema, completed with defaults and a seed."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from business_svc.tools.catalog import Tool
from business_svc.tools.errors import InvalidInputs

SEED_INPUT = "seed"
# Picture n uses seed + n, which must stay a signed 32-bit number with 8 pictures.
SEED_COUNT = 2**31 - 8
FIELD_CHARACTERS_MAX = 80
TYPE_NAMES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
}


def accept(tool: Tool, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs with defaults filled in.

    Raises:
        InvalidInputs: they do not fit the schema; every violation is listed.
    """
    violations = sorted(set(_violations(tool, inputs)))
    if violations:
        raise InvalidInputs(violations, tool=tool.name)
    return tool.defaults | dict(inputs)


def with_seed(inputs: Mapping[str, Any], run_id: uuid.UUID) -> dict[str, Any]:
    """Return the inputs with a seed: the caller's, or one drawn from the new run's id.

    The id is random, so the seed is too, and tests that hold ids still hold seeds still.
    """
    drawn = int.from_bytes(hashlib.sha256(run_id.bytes).digest()[:8]) % SEED_COUNT
    return {SEED_INPUT: drawn, **inputs}


def _violations(tool: Tool, inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in inputs.items():
        # Neither a JSON document in Postgres nor a tokenizer takes this character.
        if "\0" in name or (isinstance(value, str) and "\0" in value):
            yield _field((name,)), "must not contain the character U+0000"
    validator = Draft202012Validator(tool.input_schema)
    for error in validator.iter_errors(dict(inputs)):
        yield from _described(error)


def _described(error: ValidationError) -> Iterator[tuple[str, str]]:
    # The library's own messages quote the value, which may be long or private.
    path = tuple(str(part) for part in error.absolute_path)
    if error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield _field((*path, name)), "is required"
    elif error.validator == "additionalProperties":
        for name in sorted(set(error.instance) - set(error.schema["properties"])):
            yield _field((*path, name)), "is no input of this tool"
    else:
        yield _field(path), _rule(str(error.validator), error.validator_value)


def _rule(keyword: str, value: Any) -> str:
    if keyword == "type":
        return f"must be {TYPE_NAMES.get(value, value)}"
    rules = {
        "minLength": f"must have at least {value} character(s)",
        "maxLength": f"must have at most {value} characters",
        "minimum": f"must be at least {value}",
        "maximum": f"must be at most {value}",
        "const": f"must be {value}",
        "pattern": f"must match {value}",
    }
    return rules.get(keyword, f"breaks the schema's rule {keyword}")


def _field(path: tuple[str, ...]) -> str:
    return ".".join(("inputs", *path)).replace("\0", "\N{REPLACEMENT CHARACTER}")[
        :FIELD_CHARACTERS_MAX
    ]
