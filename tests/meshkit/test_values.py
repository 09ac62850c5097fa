"""Ids, page tokens and log lines: pure values and their laws."""

from __future__ import annotations

import json
import logging
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit import context
from meshkit.clock import uuid7
from meshkit.context import CallContext
from meshkit.errors import InvalidId, InvalidPageToken
from meshkit.ids import format_id, parse_id
from meshkit.pages import decode_page_token, encode_page_token
from meshkit.telemetry import JsonFormatter

KEYS = st.lists(st.text(max_size=20) | st.integers(), max_size=4)


def test_uuid7_is_a_version_7_uuid_that_grows() -> None:
    ids = [uuid7() for _ in range(1000)]
    assert {(made.version, made.variant) for made in ids} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == 1000
    # Ids of one quarter of a microsecond are in no order; those of two readings are.
    assert ids[0] < ids[-1]


def test_format_id_is_the_typeid_of_the_specification() -> None:
    example = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    assert format_id("prefix", example) == "prefix_01h455vb4pex5vsknk084sn02q"


@given(st.uuids())
def test_ids_survive_the_way_to_text_and_back(value: uuid.UUID) -> None:
    assert parse_id("run", format_id("run", value), field="run_id") == value


@given(st.uuids(), st.uuids())
def test_text_sorts_as_the_ids_do(one: uuid.UUID, other: uuid.UUID) -> None:
    assert (format_id("run", one) < format_id("run", other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run_",
        "run",
        "01h455vb4pex5vsknk084sn02q",
        "job_01h455vb4pex5vsknk084sn02q",
        "run_01h455vb4pex5vsknk084sn02",
        "run_01h455vb4pex5vsknk084sn02qq",
        "run_01H455VB4PEX5VSKNK084SN02Q",
        "run_81h455vb4pex5vsknk084sn02q",
        "run_01h455vb4pex5vsknk084sn0uu",
        "run_01h455vb4pex5vsknk084sn0é2",
    ],
)
def test_other_texts_are_no_ids(text: str) -> None:
    with pytest.raises(InvalidId) as refused:
        parse_id("run", text, field="run_id")
    assert refused.value.metadata == {"field": "run_id"}


@given(KEYS)
def test_page_tokens_survive_the_way_and_back(values: list[str | int]) -> None:
    assert decode_page_token(encode_page_token(values)) == tuple(values)


@given(KEYS, st.integers(0), st.integers(1, 63))
def test_changed_page_tokens_are_refused(values: list[str | int], at: int, by: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = encode_page_token(values)
    # The last character may carry unused bits, whose change is no change.
    at %= len(token) - 1
    changed = alphabet[(alphabet.index(token[at]) + by) % 64]
    with pytest.raises(InvalidPageToken):
        decode_page_token(token[:at] + changed + token[at + 1 :])


@pytest.mark.parametrize("token", ["é", "a", "!!!!", "A" * 600, "AAAA"])
def test_other_page_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidPageToken):
        decode_page_token(token)


def log_line(**extra: object) -> dict[str, object]:
    record = logging.makeLogRecord({"msg": "hello %s", "args": ("you",), "levelname": "INFO"})
    vars(record).update(extra)
    return json.loads(JsonFormatter().format(record))


def test_log_lines_hide_secrets() -> None:
    line = log_line(refresh_token="r", Authorization="Bearer x", amount=3)
    assert line["message"] == "hello you"
    assert line["amount"] == 3
    assert (line["refresh_token"], line["Authorization"]) == ("[hidden]", "[hidden]")
    assert line["time"].endswith("+00:00")


def test_log_lines_name_the_call() -> None:
    context.enter(CallContext("/a.B/C", "req-1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    try:
        line = log_line()
    finally:
        context.enter(None)
    assert (line["request_id"], line["trace_id"]) == ("req-1", "a" * 32)
