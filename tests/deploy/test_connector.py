"""Which way each local region takes to the scheduler."""

from __future__ import annotations

import pytest

from deploy.local.connector import VARIABLE
from deploy.local.failures import BadSetting
from deploy.local.layout import Layout
from deploy.local.mesh import LocalMesh
from tests.deploy.programs import Recorder

REGIONS = ["us-east", "eu-west"]


def needs(layout: Layout, recorder: Recorder) -> dict[str, set[str]]:
    """Give what the bridges and agents wait for."""
    components = LocalMesh(layout, REGIONS, recorder)._components()
    return {
        one.name: {need for need in one.needs if "head" not in need}
        for one in components
        if one.name.endswith("-agent") or one.name.startswith("connector-")
    }


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("", {"us-east": "scheduler", "eu-west": "scheduler"}),
        ("nats", {"us-east": "connector-nats", "eu-west": "connector-nats"}),
        ("eu-west=nats", {"us-east": "scheduler", "eu-west": "connector-nats"}),
        ("nats, us-east=postgres", {"us-east": "connector-postgres", "eu-west": "connector-nats"}),
    ],
)
def test_each_region_chooses_its_connector(
    layout: Layout,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    expected: dict[str, str],
) -> None:
    monkeypatch.setenv(VARIABLE, setting)
    found = needs(layout, recorder)
    for region, way in expected.items():
        assert way in found[f"region-{region}-agent"]
    bridges = {name for name in found if name.startswith("connector-")}
    assert bridges == set(expected.values()) - {"scheduler"}


@pytest.mark.parametrize("setting", ["carrier-pigeon", "eu-west=", "mars=nats"])
def test_what_makes_no_sense_is_refused(
    layout: Layout, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(VARIABLE, setting)
    with pytest.raises(BadSetting, match=VARIABLE):
        needs(layout, recorder)
