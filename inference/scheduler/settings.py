"""The constants of the policy, each with the promise that rests on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """How patient, how fair and how thrifty placements are.

    `late_share` is the part of all service that is kept for late jobs: whatever its band and its
    tenant, a job that is due starts after others were given at most its own cost divided by this
    share, once for each job that is due before it.
    `catch_up_seconds` bounds what a tenant gains by having been idle.
    `warm_quantum_seconds` is how far a tenant may get ahead of another to spare a model load.
    `load_seconds` is what loading a model takes.
    `price_patience` is how many seconds of waiting one second of work at price 1 is worth.
    """

    late_share: float = 0.1
    catch_up_seconds: float = 10.0
    warm_quantum_seconds: float = 60.0
    load_seconds: float = 20.0
    price_patience: float = 1.0


SETTINGS: Final = PolicySettings()
# A job of band n is late after n + 1 times this long; an earlier start deadline makes it so sooner.
PATIENCE: Final = timedelta(minutes=5)


def due_after(band: int) -> timedelta:
    """Give how long after its submission a job without a deadline is late."""
    return PATIENCE * (band + 1)
