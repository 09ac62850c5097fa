"""Foreign messages: what becomes a submission, and what never can."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from inference.connectors.brokers.protocol import Delivery
from inference.inbound.reading import FIELDS, Malformed, idempotency_key, read_submission
from inference.inbound.settings import InboundSource

SOURCE = InboundSource("partner", "orders", "org_1", 2)
GOOD = {"model": "shapes", "task": "text-to-image", "inputs": {"prompt": "a red circle"}}


def delivery(body: Any, message_id: str = "m-1") -> Delivery:
    return Delivery(message_id, body if isinstance(body, bytes) else json.dumps(body).encode(), 0)


def test_a_message_becomes_a_submission_of_the_source() -> None:
    deadline = "2030-01-01T00:00:00+01:00"
    message = GOOD | {"count": 3, "attempts_max": 2, "start_deadline": deadline}
    request = read_submission(delivery(message), SOURCE)
    assert (request.tenant_id, request.band) == ("org_1", 2)
    assert (request.model, request.task, request.count) == ("shapes", "text-to-image", 3)
    assert request.attempts_max == 2
    assert json_format.MessageToDict(request.inputs) == {"prompt": "a red circle"}
    assert request.start_deadline.ToJsonString() == "2029-12-31T23:00:00Z"
    assert request.idempotency_key == "inbound/partner/m-1"


def test_every_delivery_gives_the_same_submission() -> None:
    assert read_submission(delivery(GOOD), SOURCE) == read_submission(delivery(GOOD), SOURCE)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "NO_JSON"),
        (b"\xff\xfe{", "NO_JSON"),
        (b"[" * 100_000, "NO_JSON"),
        (b"x" * (512 * 1024 + 1), "TOO_LARGE"),
        ([GOOD], "NO_JSON_OBJECT"),
        (GOOD | {"tenant_id": "org_2"}, "UNKNOWN_FIELD"),
        (GOOD | {"band": 0}, "UNKNOWN_FIELD"),
        (GOOD | {"model": 5}, "BAD_FIELD"),
        (GOOD | {"model": "\ud800"}, "BAD_FIELD"),
        (GOOD | {"inputs": "prompt"}, "BAD_FIELD"),
        (GOOD | {"inputs": {"prompt": "\ud800"}}, "BAD_FIELD"),
        (GOOD | {"inputs": {"image_key": "results/job_2/1/0.png"}}, "FORBIDDEN_INPUT"),
        (GOOD | {"count": "2"}, "BAD_FIELD"),
        (GOOD | {"count": True}, "BAD_FIELD"),
        (GOOD | {"count": 2**40}, "BAD_FIELD"),
        (GOOD | {"start_deadline": "tomorrow"}, "BAD_FIELD"),
        (GOOD | {"start_deadline": "2030-01-01T00:00:00"}, "BAD_FIELD"),
        (GOOD | {"start_deadline": 5}, "BAD_FIELD"),
        ({"task": "text-to-image", "inputs": {}}, "BAD_FIELD"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_message_says_why(body: Any, reason: str) -> None:
    with pytest.raises(Malformed) as refusal:
        read_submission(delivery(body), SOURCE)
    assert refusal.value.reason == reason


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)


@given(
    st.binary(max_size=50)
    | st.dictionaries(st.sampled_from(sorted(FIELDS)), VALUES | st.just({}) | st.just([]))
)
def test_no_body_raises_anything_else(body: bytes | dict[str, Any]) -> None:
    with contextlib.suppress(Malformed):
        read_submission(delivery(body), SOURCE)


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_messages_have_different_keys(first: str, second: str) -> None:
    keys = [idempotency_key(SOURCE, message_id) for message_id in (first, second)]
    assert (keys[0] == keys[1]) == (first == second)
    assert all(len(key) <= 128 for key in keys)
