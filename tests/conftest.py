"""Fixtures that every test may use: Postgres, NATS, SeaweedFS, a held clock."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["meshkit.testing.fixtures"]

TESTS = Path(__file__).parent

# How long an example takes says more about the machine than about the code.
settings.register_profile("reelmesh", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("reelmesh")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one worker, and all journeys, which share one platform."""
    for item in items:
        folder, *rest = item.path.relative_to(TESTS).parts
        group = folder if folder == "journeys" else "/".join([folder, *rest])
        item.add_marker(pytest.mark.xdist_group(group))
