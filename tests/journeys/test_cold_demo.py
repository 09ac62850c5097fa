"""`make demo` on a fresh clone: nothing runs, and nothing is left running."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from deploy.local.status import is_locked
from tests.journeys.mesh import Mesh


@pytest.mark.slow
def test_the_demo_boots_everything_makes_a_picture_and_stops_everything(fresh: Mesh) -> None:
    assert not is_locked(fresh.layout), "the demo comes first, in a folder where nothing runs"

    answer = fresh.reelmesh("demo", "--json", check=False)

    assert answer.returncode == 0, answer.stderr
    report = json.loads(answer.stdout)
    credit = report["credits"]
    assert report["ok"] is True
    assert credit["before"] == 500
    assert credit["held"] == credit["estimate"] == credit["captured"] == 2
    assert credit["after"] == 498
    assert credit["still_held"] == 0
    assert report["timings_ms"]["run"] > 0
    assert report["timings_ms"]["per_step"] > 0
    assert report["startup_seconds"] > 0
    with Image.open(report["picture"]["path"]) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("PNG", (64, 64))
    fresh.assert_stopped()
