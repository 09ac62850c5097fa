"""The state machine, without a database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.jobs.state import LIVE, TERMINAL, TRANSITIONS, Event, State, public, transition


def test_every_state_but_the_terminal_ones_leads_on() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) - TERMINAL


def test_every_state_can_be_reached() -> None:
    reached = {State.QUEUED}
    while True:
        more = {after for (state, _), after in TRANSITIONS.items() if state in reached}
        if more <= reached:
            break
        reached |= more
    assert reached == set(State)


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize("event", sorted(Event))
def test_nothing_leads_out_of_a_terminal_state(state: State, event: Event) -> None:
    with pytest.raises(AssertionError):
        transition(state, event)


@given(events=st.lists(st.sampled_from(list(Event)), max_size=40))
def test_an_acknowledged_cancel_never_ends_otherwise(events: list[Event]) -> None:
    state = State.CANCELING
    for event in events:
        if (state, event) in TRANSITIONS:
            state = transition(state, event)
    assert state in {State.CANCELING, State.CANCELED}


@given(events=st.lists(st.sampled_from(list(Event)), max_size=40))
def test_every_way_out_of_a_lease_is_known(events: list[Event]) -> None:
    state = State.LEASED
    for event in events:
        if state not in LIVE:
            break
        if event not in {Event.GRANT, Event.MISS_DEADLINE}:
            state = transition(state, event)


def test_callers_do_not_see_the_steps_of_a_lease() -> None:
    assert {public(state) for state in LIVE} == {"running"}
    assert {public(state) for state in TERMINAL | {State.QUEUED}} == {
        "queued",
        "succeeded",
        "failed",
        "canceled",
        "expired",
    }
