"""Settings of the social service."""

from __future__ import annotations

from datetime import timedelta

import pytest

from business_svc.social.config import SocialSettings
from meshkit.config import Environment, InvalidConfiguration


def test_everything_has_a_default() -> None:
    environment = Environment({})
    assert SocialSettings.from_environment(environment) == SocialSettings()
    environment.finish()


def test_what_is_set_counts() -> None:
    variables = {
        "REELMESH_SOCIAL_PULLED_FOLLOWERS": "5",
        "REELMESH_SOCIAL_RANKING_SECONDS": "60",
        "REELMESH_SOCIAL_CHECK_SECONDS": "120",
    }
    settings = SocialSettings.from_environment(Environment(variables))
    assert settings == SocialSettings(5, timedelta(minutes=1), timedelta(minutes=2))


def test_bounds_are_kept() -> None:
    variables = {
        "REELMESH_SOCIAL_PULLED_FOLLOWERS": "0",
        "REELMESH_SOCIAL_RANKING_SECONDS": "0.5",
    }
    environment = Environment(variables)
    SocialSettings.from_environment(environment)
    with pytest.raises(InvalidConfiguration) as refused:
        environment.finish()
    assert len(refused.value.problems) == 2
