"""The catalogue's files are sound, and a published version never changes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from business_svc.tools.catalog import CATALOGUE, Catalog, load_catalog, read_tool
from business_svc.tools.errors import ToolNotFound
from business_svc.tools.inputs import SEED_COUNT

# A version that is in use is fixed: what changes gets a new file. New versions are added here.
DIGESTS = {
    "image-to-image/1.0.0.json": "7d0ffc98f1422f6fa20c6e1478b8b484962736895fca263255cb85885b6f1f0b",
    "text-to-image/1.0.0.json": "8ede324ed7f116107f2e0739bd847a378cc3d8342bc9b8f51362a778989dab03",
    "text-to-image/1.1.0.json": "cbcf8ae41d7dbc8b3b81a1a939233b6013d6c54a65d67263361e308f15146a88",
}


def digest(path: Path) -> str:
    document = json.loads(path.read_text(encoding="utf-8"))
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def test_published_versions_do_not_change() -> None:
    found = {str(path.relative_to(CATALOGUE)): digest(path) for path in CATALOGUE.glob("*/*.json")}
    assert found == DIGESTS


def test_both_tools_are_on_offer() -> None:
    assert [tool.name for tool in load_catalog().tools()] == ["image-to-image", "text-to-image"]


def test_the_newest_version_is_on_offer() -> None:
    tool = load_catalog().find("text-to-image")
    older, newer = replace(tool, version="1.9.0"), replace(tool, version="1.10.0")
    assert Catalog([newer, older]).find("text-to-image").version == "1.10.0"


def test_an_unknown_tool_is_refused_by_name() -> None:
    with pytest.raises(ToolNotFound) as refused:
        load_catalog().find("paint")
    assert refused.value.metadata == {"tool": "paint"}


@pytest.mark.parametrize("path", sorted(CATALOGUE.glob("*/*.json")), ids=lambda p: p.parent.name)
def test_schemas_are_closed_and_leave_room_for_the_seeds_of_all_pictures(path: Path) -> None:
    schema = read_tool(path).input_schema
    assert schema["additionalProperties"] is False
    assert schema["properties"]["seed"]["maximum"] == SEED_COUNT - 1
    assert set(schema["required"]) <= set(schema["properties"])
    assert all("description" in value for value in schema["properties"].values())
