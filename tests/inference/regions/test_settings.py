"""What a region's agent is told, and what it refuses at its start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inference.models.catalog import SHAPES, Catalog
from inference.regions.settings import RegionSettings
from meshkit.config import Environment, InvalidConfiguration

CATALOG = Catalog([SHAPES, replace(SHAPES, name="film", version="2")])


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    secret = tmp_path / "secret"
    secret.write_text("x")
    return {
        "REELMESH_REGION": "us-east",
        "REELMESH_RAY_ADDRESS": "127.0.0.2:1",
        "REELMESH_INFERENCE_ADDRESS": "127.0.0.1:1",
        "REELMESH_MODELS_DIR": str(tmp_path),
        "REELMESH_SERVICE_KEY_FILE": str(secret),
        "REELMESH_S3_ENDPOINT": "http://127.0.0.1:1",
        "REELMESH_S3_BUCKET": "reelmesh",
        "REELMESH_S3_ACCESS_KEY_FILE": str(secret),
        "REELMESH_S3_SECRET_KEY_FILE": str(secret),
    }


@pytest.mark.parametrize(("more", "model"), [({}, "shapes"), ({"REELMESH_MODEL": "film"}, "film")])
def test_a_region_serves_the_model_that_it_is_told(
    variables: dict[str, str], more: dict[str, str], model: str
) -> None:
    environment = Environment(variables | more)
    settings = RegionSettings.from_environment(environment, models=CATALOG.names())
    environment.finish()
    assert settings.model == model
    assert CATALOG.entry(settings.model).name == model


def test_an_unknown_model_is_refused_by_name(variables: dict[str, str]) -> None:
    environment = Environment(variables | {"REELMESH_MODEL": "flux"})
    RegionSettings.from_environment(environment, models=CATALOG.names())
    with pytest.raises(InvalidConfiguration, match=r"REELMESH_MODEL.*shapes.*film"):
        environment.finish()


def test_a_region_behind_a_broker_knows_no_scheduler(
    variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "url").write_text("nats://user:secret@127.0.0.1:4222\n")
    del variables["REELMESH_INFERENCE_ADDRESS"]
    environment = Environment(variables | {"REELMESH_CONNECTOR_URL_FILE": str(tmp_path / "url")})
    settings = RegionSettings.from_environment(environment, models=CATALOG.names())
    environment.finish()
    assert settings.replica.broker_url == "nats://user:secret@127.0.0.1:4222"


def test_a_broker_that_there_is_not_is_refused_without_its_password(
    variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "url").write_text("amqp://user:secret@127.0.0.1")
    environment = Environment(variables | {"REELMESH_CONNECTOR_URL_FILE": str(tmp_path / "url")})
    RegionSettings.from_environment(environment, models=CATALOG.names())
    with pytest.raises(InvalidConfiguration, match=r"CONNECTOR_URL_FILE.*amqp") as refusal:
        environment.finish()
    assert "secret" not in str(refusal.value)


def test_without_a_broker_the_scheduler_must_be_named(variables: dict[str, str]) -> None:
    del variables["REELMESH_INFERENCE_ADDRESS"]
    environment = Environment(variables)
    RegionSettings.from_environment(environment, models=CATALOG.names())
    with pytest.raises(InvalidConfiguration, match="REELMESH_INFERENCE_ADDRESS is not set"):
        environment.finish()
