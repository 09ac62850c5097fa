"""Settings of the tools service and what is refused at start."""

from __future__ import annotations

from datetime import timedelta

import pytest

from business_svc.tools.config import ToolsSettings
from meshkit.config import Environment, InvalidConfiguration


def test_defaults_hold_credits_longer_than_a_job_may_wait() -> None:
    environment = Environment({})
    settings = ToolsSettings.from_environment(environment)
    environment.finish()
    assert settings.hold_for >= settings.start_within + timedelta(hours=1)


@pytest.mark.parametrize(
    "variables",
    [
        {"REELMESH_RUN_START_SECONDS": "7200", "REELMESH_RUN_HOLD_SECONDS": "7200"},
        {"REELMESH_RUN_START_SECONDS": "1"},
        {"REELMESH_RUN_HOLD_SECONDS": "soon"},
    ],
)
def test_a_hold_that_may_end_before_its_job_is_refused(variables: dict[str, str]) -> None:
    environment = Environment(variables)
    ToolsSettings.from_environment(environment)
    with pytest.raises(InvalidConfiguration, match="REELMESH_RUN_"):
        environment.finish()
