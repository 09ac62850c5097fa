"""The tools on offer, read from data files: one file per tool and immutable version."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from business_svc.tools.errors import ToolNotFound
from business_svc.tools.pricing import PriceFormula, Term

CATALOGUE = Path(__file__).parent / "catalogue"


@dataclass(frozen=True, slots=True)
class Tool:
    """One version of one tool; a change of schema, price or model is a new version."""

    name: str
    version: str
    title: str
    description: str
    model: str
    task: str
    image_input: str | None  # The input that names an asset, if the task takes an image.
    price: PriceFormula
    input_schema: Mapping[str, Any]

    @property
    def defaults(self) -> dict[str, Any]:
        """The inputs that are filled in when left out."""
        properties: Mapping[str, Mapping[str, Any]] = self.input_schema["properties"]
        return {
            name: schema["default"] for name, schema in properties.items() if "default" in schema
        }


class Catalog:
    """Finds tools by name; of several versions the newest is the one on offer."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._offered: dict[str, Tool] = {}
        for tool in sorted(tools, key=lambda tool: _version_key(tool.version)):
            self._offered[tool.name] = tool

    def tools(self) -> tuple[Tool, ...]:
        """Return every tool on offer, by name."""
        return tuple(self._offered[name] for name in sorted(self._offered))

    def find(self, name: str) -> Tool:
        """Return the newest version of a tool.

        Raises:
            ToolNotFound: the catalogue has none of that name.
        """
        tool = self._offered.get(name)
        if tool is None:
            raise ToolNotFound(name)
        return tool


def load_catalog(folder: Path = CATALOGUE) -> Catalog:
    """Read `<folder>/<tool>/<version>.json`; a broken file is a programmer's error."""
    return Catalog(read_tool(path) for path in sorted(folder.glob("*/*.json")))


def read_tool(path: Path) -> Tool:
    """Read one version of a tool and check that its schema is one."""
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["tool"], data["version"]) == (path.parent.name, path.stem), path
    schema = data["input_schema"]
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False, path
    terms = tuple(
        Term(micro_credits=term["micro_credits"], times=tuple(term["times"]))
        for term in data["price"]["terms"]
    )
    return Tool(
        name=data["tool"],
        version=data["version"],
        title=data["title"],
        description=data["description"],
        model=data["model"],
        task=data["task"],
        image_input=data["image_input"],
        price=PriceFormula(words=data["price"]["words"], terms=terms),
        input_schema=schema,
    )


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
