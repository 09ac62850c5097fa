"""The whole platform, booted once per run by the same command that users type."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.layout import Layout
from deploy.local.ports import Ports
from tests.journeys.mesh import Mesh


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "journeys" in item.path.parts:
            item.add_marker(pytest.mark.journey)


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    running = os.environ.get("REELMESH_JOURNEYS_DATA")
    if running:
        # For work on the journeys themselves: a platform that is up already, and stays so.
        status = Layout(Path(running)).state_file.read_text()
        yield Mesh(Path(running), int(json.loads(status)["gateway_url"].rpartition(":")[2]))
        return
    mesh = Mesh(tmp_path_factory.mktemp("journeys") / "data folder", Ports().one())
    up = mesh.reelmesh("up", "--detach", check=False)
    try:
        assert up.returncode == 0, up.stderr
        assert up.stdout.strip() == mesh.gateway_url
        yield mesh
    finally:
        mesh.reelmesh("down")
