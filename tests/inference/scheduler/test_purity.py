"""The policy reads no clock and does no I/O: it imports nothing that could."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import inference.scheduler

FOLDER = Path(inference.scheduler.__file__).parent
PURE = ("policy", "room", "shares", "snapshot", "settings", "cost")
ALLOWED = {"__future__", "collections", "dataclasses", "datetime", "typing", "uuid", "inference"}


@pytest.mark.parametrize("name", PURE)
def test_the_policy_imports_only_values(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            imported.add(node.module)
    assert {module.split(".")[0] for module in imported} <= ALLOWED
    ours = {module for module in imported if module.startswith("inference")}
    assert ours <= {f"inference.scheduler.{pure}" for pure in PURE}
