"""What is taken, what is not and why: without a database."""

from __future__ import annotations

import uuid
from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit.testing.clock import START
from meshkit.testing.identity import USER
from platform_svc.events.catalogue import load_catalogue
from platform_svc.events.collection import (
    KEPT_CHARACTERS_MAX,
    PROPERTIES_BYTES_MAX,
    Reason,
    event_id,
    judge,
    kept,
)

from .factories import batch, client_event

CATALOGUE = load_catalogue()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"message_id": ""}, Reason.MESSAGE_ID_INVALID),
        ({"message_id": "m 1"}, Reason.MESSAGE_ID_INVALID),
        ({"message_id": "m" * 65}, Reason.MESSAGE_ID_INVALID),
        ({"name": "tool_closed"}, Reason.UNKNOWN_EVENT),
        ({"schema_version": 99}, Reason.UNKNOWN_EVENT),
        ({"properties": {}}, Reason.SCHEMA_VIOLATION),
        ({"properties": {"tool": 3}}, Reason.SCHEMA_VIOLATION),
        ({"properties": {"tool": "x", "email": "a@b.c"}}, Reason.SCHEMA_VIOLATION),
        ({"properties": {"tool": "x", "from": "\0"}}, Reason.SCHEMA_VIOLATION),
        ({"properties": {"tool": "x" * PROPERTIES_BYTES_MAX}}, Reason.TOO_LARGE),
        ({"occurred_at": START + timedelta(minutes=6)}, Reason.TIME_OUT_OF_RANGE),
        ({"occurred_at": START - timedelta(days=8)}, Reason.TIME_OUT_OF_RANGE),
    ],
)
def test_what_does_not_fit_is_rejected_with_its_reason(changes, reason) -> None:
    good = client_event("good")
    sent = batch(client_event(**changes), good)
    accepted, [rejected] = judge(sent, CATALOGUE, now=START)
    assert (rejected.index, rejected.reason) == (0, reason)
    assert [event.message_id for event in accepted] == ["good"]


def test_a_reason_quotes_no_value() -> None:
    wrong = client_event(properties={"tool": "my secret"})
    _, [rejected] = judge(batch(wrong), CATALOGUE, now=START)
    assert "secret" not in rejected.message


@given(st.timedeltas(timedelta(days=-1000), timedelta(days=1000)), st.integers(0, 6 * 24))
def test_a_wrong_clock_does_not_matter_if_the_batch_says_when_it_was_sent(skew, hours) -> None:
    happened = START - timedelta(hours=hours)
    late = client_event(occurred_at=happened + skew)
    [accepted], rejected = judge(batch(late, sent_at=START + skew), CATALOGUE, now=START)
    assert accepted.occurred_at == happened
    assert rejected == []


MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS, MOMENTS, MOMENTS)
def test_any_three_times_give_a_verdict(happened, sent, now) -> None:
    sent_batch = batch(client_event(occurred_at=happened), sent_at=sent)
    accepted, rejected = judge(sent_batch, CATALOGUE, now=now)
    assert len(accepted) + len(rejected) == 1


def test_the_newest_schema_is_meant_without_a_version() -> None:
    [accepted], _ = judge(batch(client_event()), CATALOGUE, now=START)
    assert accepted.schema_version == 1


@given(st.text(), st.text())
def test_an_id_names_one_message_of_one_organization(one, other) -> None:
    ids = {
        event_id(org, message)
        for org in (USER.organization_id, uuid.UUID(int=1))
        for message in (one, other)
    }
    assert len(ids) == 2 * len({one, other})


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=20_000))
def test_what_is_kept_of_a_rejected_event_is_bounded(message_id, name, text) -> None:
    sent = batch(client_event(message_id, name=f"no {name}", properties={"text": text}))
    _, [rejected] = judge(sent, CATALOGUE, now=START)
    failed = kept(rejected, sent, spare_id=uuid.UUID(int=5), now=START)
    assert len(failed.message_id) <= KEPT_CHARACTERS_MAX
    assert len(failed.name) <= KEPT_CHARACTERS_MAX
    assert "\0" not in failed.message_id + failed.name + str(failed.properties)
    assert len(str(failed.properties)) < 2 * PROPERTIES_BYTES_MAX
