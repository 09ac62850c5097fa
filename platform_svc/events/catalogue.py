"""The events that may be collected, read from data files: one a name and immutable version."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

SCHEMAS = Path(__file__).parent / "schemas"
PATH_CHARACTERS_MAX = 80


@dataclass(frozen=True, slots=True)
class EventSchema:
    """What an event of this name and version is; `properties` is a JSON Schema (2020-12)."""

    name: str
    version: int
    description: str
    properties: Mapping[str, Any]

    def violation(self, properties: Mapping[str, Any]) -> str | None:
        """Say what is wrong with an event's properties, without quoting their values."""
        errors = Draft202012Validator(self.properties).iter_errors(dict(properties))
        error = best_match(errors)
        return None if error is None else _described(error)


class Catalogue:
    """Finds schemas by name and version; version 0 means the newest."""

    def __init__(self, schemas: Iterable[EventSchema]) -> None:
        ordered = sorted(schemas, key=lambda schema: (schema.name, schema.version))
        self._known = {(schema.name, schema.version): schema for schema in ordered}
        self._known |= {(schema.name, 0): schema for schema in ordered}
        self.schemas = tuple(ordered)

    def find(self, name: str, version: int) -> EventSchema | None:
        """Give a schema, if there is one."""
        return self._known.get((name, version))


def load_catalogue(folder: Path = SCHEMAS) -> Catalogue:
    """Read `<folder>/<name>/<version>.json`; a broken file is a programmer's error."""
    return Catalogue(read_schema(path) for path in sorted(folder.glob("*/*.json")))


def read_schema(path: Path) -> EventSchema:
    """Read one version and check that its schema is one."""
    schema = EventSchema(**json.loads(path.read_text(encoding="utf-8")))
    assert (schema.name, str(schema.version)) == (path.parent.name, path.stem), path
    Draft202012Validator.check_schema(schema.properties)
    assert schema.properties["additionalProperties"] is False, path
    return schema


def _described(error: ValidationError) -> str:
    # The library's own messages quote the value, which may be long or private.
    place = ".".join(["properties", *map(str, error.absolute_path)])[:PATH_CHARACTERS_MAX]
    match error.validator:
        case "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            return f"{place} lacks {', '.join(missing)}"
        case "additionalProperties":
            known = ", ".join(error.schema["properties"])
            return f"{place} has a name that is not among {known}"
        case "type":
            return f"{place} must be of the type {error.validator_value}"
        case rule:
            return f"{place} breaks the schema's rule {rule}: {error.validator_value}"
