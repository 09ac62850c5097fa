from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.local.restarts import (
    DELAY_SECONDS_MAX,
    FIRST_DELAY_SECONDS,
    LOOP_EXITS,
    LOOP_SECONDS,
    STABLE_SECONDS,
    Restarts,
)


def test_delays_double_up_to_the_maximum() -> None:
    restarts = Restarts()

    delays = [restarts.exited(started=n, now=n) for n in range(12)]

    assert delays[:4] == [FIRST_DELAY_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert delays[-1] == DELAY_SECONDS_MAX
    assert restarts.count == 12


def test_a_stable_run_makes_the_next_restart_quick() -> None:
    restarts = Restarts()
    for n in range(8):
        restarts.exited(started=n, now=n)

    assert restarts.exited(started=10, now=10 + STABLE_SECONDS) == FIRST_DELAY_SECONDS


def test_exits_close_together_are_a_loop_and_spread_ones_are_not() -> None:
    close, spread = Restarts(), Restarts()
    for n in range(LOOP_EXITS):
        close.exited(started=n, now=n)
        spread.exited(started=n * LOOP_SECONDS, now=n * LOOP_SECONDS)

    assert close.looping(LOOP_EXITS - 1)
    assert not spread.looping((LOOP_EXITS - 1) * LOOP_SECONDS)
    assert not close.looping(LOOP_SECONDS + 1)


@given(st.lists(st.floats(min_value=0, max_value=1000), max_size=60))
def test_delays_stay_within_their_bounds(lives: list[float]) -> None:
    restarts = Restarts()
    now = 0.0
    for life in lives:
        delay = restarts.exited(started=now, now=now + life)
        now += life + delay

        assert FIRST_DELAY_SECONDS <= delay <= DELAY_SECONDS_MAX
