"""Files and functions stay small enough to be read at once."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("meshkit", "platform_svc", "business_svc", "inference", "gateway", "deploy", "bench")
FILE_LINES_MAX = 500
FILE_LINES_MEDIAN_MAX = 90
FUNCTION_LINES_MAX = 70
LONG_FUNCTION_LINES = 40
LONG_FUNCTIONS_SHARE_MAX = 0.02


def all_sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def sources() -> list[Path]:
    return [path for path in all_sources() if "migrations" not in path.parts]


def function_lines(paths: list[Path]) -> dict[str, int]:
    lines = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                name = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                lines[name] = node.end_lineno - node.lineno + 1
    return lines


@pytest.mark.parametrize("folder", [*PACKAGES, "tests"])
def test_no_file_is_too_long(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > FILE_LINES_MAX
    }
    assert long == {}


def test_the_median_file_is_short() -> None:
    counts = [len(path.read_text().splitlines()) for path in sources()]
    assert statistics.median(counts) < FILE_LINES_MEDIAN_MAX


def test_no_function_is_too_long() -> None:
    lines = function_lines(all_sources())
    assert {name: count for name, count in lines.items() if count > FUNCTION_LINES_MAX} == {}


def test_long_functions_are_rare() -> None:
    lines = function_lines(sources())
    long = sorted(name for name, count in lines.items() if count > LONG_FUNCTION_LINES)
    assert len(long) <= LONG_FUNCTIONS_SHARE_MAX * len(lines), long
