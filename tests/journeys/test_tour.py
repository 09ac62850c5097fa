"""Every stop of the tour, on the running platform."""

from __future__ import annotations

import json

import pytest

from deploy.tour.stops import all_stops
from tests.journeys.mesh import Mesh


@pytest.mark.slow
@pytest.mark.parametrize("name", [stop.name for stop in all_stops()])
def test_a_stop_shows_its_part_at_work(mesh: Mesh, name: str) -> None:
    answer = mesh.reelmesh("tour", name, "--json", check=False)

    [seen] = json.loads(answer.stdout)
    assert seen["problem"] == ""
    assert answer.returncode == 0
    assert seen["said"]
