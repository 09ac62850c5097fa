"""Keyed hashes whose secret may be replaced."""

from __future__ import annotations

import pytest

from meshkit.config import Environment, InvalidConfiguration
from meshkit.peppers import VARIABLE, Peppers

OLD, NEW = "the old secret, which is long enough", "the new secret, which is long enough"


def read(path) -> Peppers:
    environment = Environment({VARIABLE: str(path)})
    peppers = Peppers.from_environment(environment)
    environment.finish()
    return peppers


def test_the_newest_secret_makes_hashes_and_the_others_know_theirs(tmp_path) -> None:
    file = tmp_path / "pepper"
    file.write_text(f"{OLD}\n")
    before = read(file).mac("a", b"x")
    file.write_text(f"{NEW}\n\n  {OLD}\n")
    after = read(file)
    assert after.mac("a", b"x") != before
    assert after.macs("a", b"x") == [after.mac("a", b"x"), before]


def test_purposes_share_no_hashes(tmp_path) -> None:
    peppers = Peppers((NEW.encode(),))
    assert peppers.mac("a", b"x") != peppers.mac("b", b"x")


def test_a_short_secret_is_refused(tmp_path) -> None:
    file = tmp_path / "pepper"
    file.write_text(f"{NEW}\nshort\n")
    with pytest.raises(InvalidConfiguration, match="32"):
        read(file)


def test_secrets_do_not_show() -> None:
    assert NEW not in repr(Peppers((NEW.encode(),)))
