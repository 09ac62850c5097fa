"""The rules of refresh tokens, without a database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_svc.identity.errors import (
    InvalidRefreshToken,
    RefreshTokenReused,
    SessionExpired,
)
from platform_svc.identity.refresh import (
    AGE_MAX,
    IDLE_MAX,
    LOST_REPLY_WINDOW,
    RefreshToken,
    Trade,
    open_session,
    trade,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SESSION = uuid.UUID(int=1)
SECOND = timedelta(seconds=1)


def opened(session_id: uuid.UUID = SESSION, random: bytes = bytes(range(64))) -> Trade:
    return open_session(
        uuid.UUID(int=2), uuid.UUID(int=3), session_id=session_id, random=random, now=NOW
    )


def nonce(number: int = 1) -> bytes:
    return number.to_bytes(32, "big")


def test_a_token_reads_as_it_was_written() -> None:
    token = opened().token
    assert RefreshToken.parse(token.text()) == token
    assert len(token.text()) <= 256


@given(st.text(max_size=256))
def test_junk_is_no_token(text: str) -> None:
    with pytest.raises(InvalidRefreshToken):
        RefreshToken.parse(text)


@given(position=st.integers(3, 98), replacement=st.sampled_from("AZaz09-_"))
def test_a_changed_token_is_none_or_not_vouched_for(position: int, replacement: str) -> None:
    first = opened()
    text = first.token.text()
    changed = text[:position] + replacement + text[position + 1 :]
    if changed != text:
        with pytest.raises(InvalidRefreshToken):
            trade(first.session, RefreshToken.parse(changed), nonce=nonce(), now=NOW)


def test_a_trade_gives_a_new_token_that_can_be_traded() -> None:
    first = opened()
    second = trade(first.session, first.token, nonce=nonce(1), now=NOW)
    third = trade(second.session, second.token, nonce=nonce(2), now=NOW)
    assert len({one.token.text() for one in (first, second, third)}) == 3
    assert third.session.counter == third.token.counter == 2


def test_a_lost_reply_gives_the_same_successor_within_the_window() -> None:
    first = opened()
    second = trade(first.session, first.token, nonce=nonce(1), now=NOW)
    later = NOW + LOST_REPLY_WINDOW
    again = trade(second.session, first.token, nonce=nonce(2), now=later)
    assert again == second


def test_the_previous_token_is_reuse_after_the_window() -> None:
    first = opened()
    second = trade(first.session, first.token, nonce=nonce(1), now=NOW)
    with pytest.raises(RefreshTokenReused):
        trade(second.session, first.token, nonce=nonce(2), now=NOW + LOST_REPLY_WINDOW + SECOND)


def test_an_older_token_is_reuse_at_once() -> None:
    first = opened()
    second = trade(first.session, first.token, nonce=nonce(1), now=NOW)
    third = trade(second.session, second.token, nonce=nonce(2), now=NOW)
    with pytest.raises(RefreshTokenReused):
        trade(third.session, first.token, nonce=nonce(3), now=NOW)


def test_an_invented_token_of_a_known_session_is_no_reuse() -> None:
    first = opened()
    invented = RefreshToken.mint(SESSION, 0, b"x" * 32, tag_key=b"y" * 32)
    with pytest.raises(InvalidRefreshToken):
        trade(first.session, invented, nonce=nonce(), now=NOW)


def test_the_database_alone_does_not_give_the_successor() -> None:
    first = opened()
    second = trade(first.session, first.token, nonce=nonce(1), now=NOW)
    stored = [value for value in vars_of(second) if isinstance(value, bytes)]
    assert second.token.secret not in stored
    assert first.token.secret not in stored


def vars_of(traded: Trade) -> list[object]:
    return [getattr(traded.session, name) for name in traded.session.__slots__]


@pytest.mark.parametrize("wait", [IDLE_MAX, AGE_MAX])
def test_an_idle_or_old_session_is_over(wait: timedelta) -> None:
    first = opened()
    with pytest.raises(SessionExpired):
        trade(first.session, first.token, nonce=nonce(), now=NOW + wait)


def test_use_keeps_a_session_alive_until_its_greatest_age() -> None:
    current, now = opened(), NOW
    while now + IDLE_MAX < NOW + AGE_MAX:
        now += IDLE_MAX - SECOND
        current = trade(current.session, current.token, nonce=nonce(), now=now)
    with pytest.raises(SessionExpired):
        trade(current.session, current.token, nonce=nonce(), now=NOW + AGE_MAX)
