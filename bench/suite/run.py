"""Times `make test` in a clone, after the installation."""

from __future__ import annotations

from bench.checkout import cloned, environment, make_seconds
from bench.figures import Figure

MINUTES_MAX = 25.0


def measure() -> list[Figure]:
    """Install in a clone and run every test there."""
    given = environment()
    with cloned() as clone:
        make_seconds(clone, "setup", given)
        minutes = make_seconds(clone, "test", given) / 60
    return [Figure("A14", "make test, installed", minutes, "min", MINUTES_MAX, "lower")]
