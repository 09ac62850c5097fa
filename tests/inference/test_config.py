"""Settings of the inference part."""

from __future__ import annotations

import pytest

from inference.config import InferenceSettings
from meshkit.config import Environment, InvalidConfiguration


def test_prices_of_regions_are_read() -> None:
    environment = Environment({"REELMESH_REGION_PRICES": "us-east=1.5, eu-west=0"})
    settings = InferenceSettings.from_environment(environment)
    environment.finish()
    assert settings.prices == {"us-east": 1.5, "eu-west": 0.0}


@pytest.mark.parametrize("text", ["us-east", "us-east=dear", "=1", "us-east=-1", "us-east=nan"])
def test_a_bad_price_is_a_problem_that_names_it(text: str) -> None:
    environment = Environment({"REELMESH_REGION_PRICES": text})
    InferenceSettings.from_environment(environment)
    with pytest.raises(InvalidConfiguration, match="REELMESH_REGION_PRICES is wrong"):
        environment.finish()
