"""What an image installs is enough to run what it starts."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = ("meshkit", "platform_svc", "business_svc", "inference", "gateway", "deploy")
# By the extra that an image installs: what it starts, and what that loads by name.
STARTS = {
    "platform": ("platform_svc.__main__", "platform_svc.etl.__main__"),
    "business": ("business_svc.__main__",),
    "inference": ("inference.__main__",),
    "region": ("inference.regions", "inference.pipelines", "inference.mljobs"),
}
# They come in wheels of their own, which the image installs beside.
STUBS = {"reelmesh", "buf", "envoy_ext_authz"}


@pytest.mark.parametrize("extra", STARTS)
def test_the_extras_of_an_image_give_all_that_it_imports(extra: str) -> None:
    imported = set(_imports(extra)) - STUBS - sys.stdlib_module_names - {"__future__"}
    installed = _closure(extra)

    assert {"grpc", "boto3"} <= imported
    missing = {name for name in imported if not installed & _providers(name)}
    assert missing == set()


def test_what_an_image_imports_beyond_its_extras_is_noticed() -> None:
    assert not _closure("business") & _providers("argon2")
    assert not _closure("inference") & (_providers("torch") | _providers("ray"))
    assert _closure("region") >= {"torch", "ray", "fastapi"}


def test_every_image_of_the_deployment_has_its_extra() -> None:
    workflow = (ROOT / ".github/workflows/deploy.yml").read_text()
    parts = re.findall(r"part: (\w+)", workflow)

    assert sorted(parts) == sorted(STARTS)
    assert set(parts) <= set(PROJECT["optional-dependencies"])


def test_the_wheel_has_every_data_file(tmp_path: Path) -> None:
    command = ["git", "ls-files", *OURS]
    tracked = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()

    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])

    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert "gateway/guard.lua" in packed
    assert set(tracked) - packed == set()


def _imports(extra: str) -> Iterator[str]:
    """Give what is imported from elsewhere, at the start or later inside a function."""
    graph = _graph()
    for module in graph.modules:
        if module.startswith(STARTS[extra]):
            reached = {module, *graph.find_upstream_modules(module)}
            yield from (one for one in reached if graph.is_module_squashed(one))


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        *OURS, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


def _closure(extra: str) -> set[str]:
    """Give every distribution that installing Reelmesh with this extra installs."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]
    pending = [Requirement(text) for text in wanted]
    while pending:
        requirement = pending.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        found.add(key[0])
        needed = map(Requirement, importlib.metadata.requires(requirement.name) or ())
        pending += (one for one in needed if _applies(one, requirement.extras))
    return found


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


@cache
def _installed() -> dict[str, set[str]]:
    mapping = importlib.metadata.packages_distributions()
    return {top: set(map(canonicalize_name, names)) for top, names in mapping.items()}


def _providers(module: str) -> set[str]:
    return _installed().get(module.partition(".")[0], set())
