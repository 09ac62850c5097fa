"""How attempts are counted, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from platform_svc.identity.throttle import (
    ACCOUNT,
    ACCOUNT_FROM_NETWORK,
    NETWORK,
    Limit,
    Subject,
    Tally,
    count_attempt,
    forgive,
    sign_in_subjects,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LIMIT = Limit(3, timedelta(seconds=20), timedelta(minutes=5))
SUBJECT = Subject("account:1", LIMIT)


def admitted(tally: Tally, now: datetime, subject: Subject = SUBJECT) -> Tally | None:
    counted = count_attempt([subject], {subject.key: tally}, now)
    return None if isinstance(counted, timedelta) else counted[subject.key]


def test_attempts_are_free_at_first() -> None:
    tally: Tally | None = Tally()
    for _ in range(LIMIT.free_attempts):
        assert tally is not None
        tally = admitted(tally, NOW)
    assert tally is not None
    assert admitted(tally, NOW) is None


@given(st.integers(0, 10_000))
def test_the_pause_doubles_up_to_its_bound(attempts: int) -> None:
    for limit in (LIMIT, ACCOUNT, ACCOUNT_FROM_NETWORK, NETWORK):
        pause, after = limit.pause(attempts), limit.pause(attempts + 1)
        assert pause <= after <= limit.pause_max
        assert attempts < limit.free_attempts or after in {pause * 2, limit.pause_max}


def test_a_blocked_attempt_says_how_long_and_is_not_counted() -> None:
    tally = Tally(5, NOW, NOW + 8 * SECOND)
    assert count_attempt([SUBJECT], {SUBJECT.key: tally}, NOW + SECOND) == 7 * SECOND
    assert admitted(tally, NOW + 8 * SECOND) == Tally(6, NOW + 8 * SECOND, NOW + 16 * SECOND)


def test_one_blocked_subject_blocks_the_attempt() -> None:
    other = Subject("network:1", LIMIT)
    tallies = {SUBJECT.key: Tally(), other.key: Tally(9, NOW, NOW + SECOND)}
    assert count_attempt([SUBJECT, other], tallies, NOW) == SECOND


def test_old_attempts_are_forgotten() -> None:
    after = admitted(Tally(50, NOW, NOW), NOW + LIMIT.forget_after)
    assert after is not None
    assert after.attempts == 1


def test_a_success_wipes_an_account_but_only_one_attempt_of_a_network() -> None:
    pair, account, network = sign_in_subjects("ada@example.com", "192.0.2.1")
    tally = Tally(99, NOW, NOW + SECOND)
    assert forgive(pair, tally) == forgive(account, tally) == Tally()
    assert forgive(network, tally) == Tally(98, NOW, None)


def test_subjects_tell_accounts_and_networks_apart_and_hide_them() -> None:
    first = sign_in_subjects("ada@example.com", "192.0.2.1")
    second = sign_in_subjects("bob@example.com", "192.0.2.1")
    assert len({subject.key for subject in (*first, *second)}) == 5
    assert not any("ada" in subject.key or "192" in subject.key for subject in first)
