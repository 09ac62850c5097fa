"""A second platform on the same machine: another user's, with its own stores and Ray cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.local.layout import Layout
from deploy.local.ports import Ports
from tests.deploy.ordinary import ordinary_user
from tests.deploy.waiting import marked
from tests.journeys.mesh import Mesh


@pytest.mark.slow
def test_an_ordinary_user_runs_a_platform_beside_this_one(mesh: Mesh, tmp_path: Path) -> None:
    before = {one["name"]: one["pid"] for one in mesh.status()["processes"]}

    with ordinary_user() as user:
        data = user.home / "their data"
        answer = user.python(
            *("-m", "deploy.cli", "demo", "--json", "--data", str(data)),
            REELMESH_PORT=str(Ports().one()),
        )
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout)["ok"] is True
        assert (data / "postgres" / "PG_VERSION").exists()
        assert {path.lstat().st_uid for path in data.rglob("*")} == {user.user_id}
        assert marked(Layout(data)) == []

    # Their start and stop has touched nothing here.
    assert {one["name"]: one["pid"] for one in mesh.status()["processes"]} == before
    picture = tmp_path / "picture.png"
    mesh.reelmesh("generate", "a red circle on a white background", "-o", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
