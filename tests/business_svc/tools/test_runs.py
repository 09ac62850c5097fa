"""The state machine: what may follow what, and what must hold at every end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from business_svc.tools import pacing, runs
from business_svc.tools.runs import FINAL, Event, Failure, Phase, Run, State

from .factories import NOW, RUN, job, run

FAILURE = Failure("X", "x")


def active() -> Run:
    return runs.submitted(runs.held(run(), image_key=None), job())


def succeeded(outputs: int) -> Run:
    ended = runs.ended(active(), job(State.SUCCEEDED, outputs=outputs))
    return runs.settled(runs.decided(ended, State.SUCCEEDED), NOW)


def test_a_success_is_charged_for_what_was_made() -> None:
    assert succeeded(2).charged_credits == 6
    assert succeeded(1).charged_credits == 3
    # More than was asked for is not charged, and not shown.
    assert succeeded(3).charged_credits == 6
    assert len(runs.asset_ids(succeeded(3))) == 2


@pytest.mark.parametrize("state", sorted(FINAL - {State.SUCCEEDED}))
def test_any_other_end_is_free_and_shows_no_pictures(state: State) -> None:
    ended = runs.ended(active(), job(state, outputs=2))
    settled = runs.settled(ended, NOW)
    assert (settled.state, settled.charged_credits, settled.held_credits) == (state, 0, 0)
    assert runs.asset_ids(settled) == ()
    assert (settled.failure is None) == (state is State.CANCELED)


def test_a_success_without_outputs_is_a_failure() -> None:
    ended = runs.ended(active(), job(State.SUCCEEDED))
    assert (ended.verdict, ended.failure) == (
        State.FAILED,
        Failure("NO_OUTPUTS", "the job succeeded without outputs"),
    )


def test_assets_have_ids_of_their_own_that_never_change() -> None:
    ids = runs.asset_ids(succeeded(2))
    assert len(set(ids)) == 2
    assert ids == (runs.asset_id(RUN, 0), runs.asset_id(RUN, 1))


def test_the_public_state_follows_the_job_and_ends_only_by_settling() -> None:
    running = runs.observed(active(), job(State.RUNNING))
    assert running.state is State.RUNNING
    requeued = runs.observed(running, job(State.QUEUED))
    assert requeued.state is State.QUEUED
    assert runs.shown(running, job(State.SUCCEEDED, outputs=1)).state is State.RUNNING
    assert runs.ended(running, job(State.CANCELED)).state is State.RUNNING


def test_news_of_a_job_do_not_change_a_run_that_is_not_active() -> None:
    settled = succeeded(2)
    assert runs.shown(settled, job(State.RUNNING)) is settled


def test_a_verdict_is_fixed() -> None:
    ended = runs.ended(active(), job(State.CANCELED))
    with pytest.raises(AssertionError):
        runs.decided(ended, State.SUCCEEDED)


def test_success_may_turn_into_failure_before_it_is_settled() -> None:
    ended = runs.ended(active(), job(State.SUCCEEDED, outputs=2))
    lost = runs.decided(runs.decided(ended, State.SUCCEEDED), State.FAILED, FAILURE)
    assert runs.settled(lost, NOW).charged_credits == 0
    with pytest.raises(AssertionError):
        runs.decided(lost, State.SUCCEEDED)


def test_an_undecided_run_cannot_be_settled() -> None:
    with pytest.raises(AssertionError):
        runs.settled(runs.ended(active(), job(State.SUCCEEDED, outputs=1)), NOW)


def apply(before: Run, event: Event, state: State) -> Run:
    final = state if state in FINAL else State.FAILED
    live = state if state not in FINAL else State.RUNNING
    match event:
        case Event.HELD:
            return runs.held(before, image_key=None)
        case Event.SUBMITTED:
            return runs.submitted(before, job(live))
        case Event.OBSERVED:
            return runs.observed(before, job(live))
        case Event.ENDED:
            return runs.ended(before, job(final, outputs=2))
        case Event.DECIDED:
            failure = None if state is State.SUCCEEDED else FAILURE
            return runs.decided(before, state, failure)
        case Event.SETTLED:
            return runs.settled(before, NOW)


@settings(deadline=None)  # A busy machine is no failure.
@given(st.lists(st.tuples(st.sampled_from(Event), st.sampled_from(State)), max_size=12))
def test_no_sequence_of_events_breaks_the_rules(steps: list[tuple[Event, State]]) -> None:
    current = run()
    for event, state in steps:
        try:
            after = apply(current, event, state)
        except AssertionError:
            continue  # The machine refuses it.
        assert after.phase is runs.NEXT[current.phase, event]
        assert not current.settled, "a settled run moved"
        current = after
        assert current.settled == (current.state in FINAL) == (current.finished_at is not None)
        assert (current.held_credits > 0) == (
            current.phase in {Phase.SUBMITTING, Phase.ACTIVE, Phase.SETTLING}
        )
        assert current.charged_credits == 0 or current.state is State.SUCCEEDED
        assert current.charged_credits <= current.spec.price_credits
        assert (pacing.first_look(current, NOW) is None) == current.settled


def test_looks_at_a_stuck_run_grow_rarer_up_to_a_bound() -> None:
    looks = [pacing.next_look(tries, NOW) - NOW for tries in range(1, 40)]
    assert looks == sorted(looks)
    assert (looks[0], looks[-1]) == (timedelta(seconds=5), timedelta(seconds=60))
