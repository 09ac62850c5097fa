from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit.config import Environment, InvalidConfiguration


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    environment = Environment({"PORT": "70000", "RATE": "nan", "KEY": str(tmp_path / "absent")})
    environment.text("NAME")
    environment.integer("PORT", minimum=1, maximum=65535)
    environment.number("RATE", minimum=0, maximum=1)
    environment.secret_file("KEY")
    with pytest.raises(InvalidConfiguration) as refused:
        environment.finish()
    assert [problem.split()[0] for problem in refused.value.problems] == [
        "NAME",
        "PORT",
        "RATE",
        "KEY",
    ]


def test_good_settings_are_converted(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    environment = Environment(
        {"A": " x ", "S": "1.5", "F": "true", "P": str(tmp_path), "K": str(secret)}
    )
    assert environment.text("A") == "x"
    assert environment.seconds("S", minimum=0, maximum=9) == timedelta(seconds=1.5)
    assert environment.flag("F") is True
    assert environment.path("P") == tmp_path
    assert environment.secret_file("K") == "s3cret"
    environment.finish()


def test_defaults_stand_for_missing_and_empty_variables() -> None:
    environment = Environment({"EMPTY": ""})
    assert environment.text("EMPTY", default="d") == "d"
    assert environment.integer("N", minimum=1, maximum=2, default=2) == 2
    assert environment.choice("C", choices=("cpu", "cuda"), default="cpu") == "cpu"
    environment.finish()


@given(st.integers(), st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_integers_outside_their_bounds_never_pass(value: int, one: int, other: int) -> None:
    minimum, maximum = sorted((one, other))
    environment = Environment({"N": str(value)})
    given_value = environment.integer("N", minimum=minimum, maximum=maximum)
    if minimum <= value <= maximum:
        environment.finish()
        assert given_value == value
    else:
        with pytest.raises(InvalidConfiguration):
            environment.finish()


@pytest.mark.parametrize("text", ["True", "1", "yes", "tru"])
def test_flags_are_spelled_exactly(text: str) -> None:
    environment = Environment({"F": text})
    environment.flag("F")
    with pytest.raises(InvalidConfiguration):
        environment.finish()
