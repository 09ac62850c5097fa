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

COLD_DEMO = "test_cold_demo.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "journeys" in item.path.parts:
            item.add_marker(pytest.mark.journey)
    # The demo boots the platform in a folder where nothing runs yet; the others go on there.
    items.sort(key=lambda item: item.path.name != COLD_DEMO)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    """A data folder and a port, before anything is booted there."""
    return Mesh(tmp_path_factory.mktemp("journeys") / "data folder", Ports().one())


@pytest.fixture(scope="session")
def mesh(fresh: Mesh) -> Iterator[Mesh]:
    running = os.environ.get("REELMESH_JOURNEYS_DATA")
    if running:
        # For work on the journeys themselves: a platform that is up already, and stays so.
        status = Layout(Path(running)).state_file.read_text()
        yield Mesh(Path(running), int(json.loads(status)["gateway_url"].rpartition(":")[2]))
        return
    # In a whole run the demo has been here: so this is a second start with the same data.
    up = fresh.up()
    try:
        assert up.returncode == 0, up.stderr
        assert up.stdout.strip() == fresh.gateway_url
        yield fresh
    finally:
        fresh.reelmesh("down")
        fresh.assert_stopped()
