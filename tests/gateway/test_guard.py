"""Laws of the body guard, tried on a real Envoy."""

from __future__ import annotations

import json

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reelmesh.business.tools.v1 import tools_service_pb2

RUN = "/v1/tools/t:run"
JSON = {"content-type": "application/json"}
# No lone surrogates, which are no UTF-8; whole numbers within what a double holds exactly.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=5)
REAL_ENVOY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def is_json(text: str) -> bool:
    """Return whether Python takes the text for JSON without repeated keys."""

    def refuse(*_: object) -> None:
        raise ValueError

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in found}) != len(found):
            raise ValueError
        return dict(found)

    try:
        json.loads(text, parse_constant=refuse, object_pairs_hook=pairs)
    except ValueError:
        return False
    return True


@REAL_ENVOY
@given(inputs=OBJECTS, indent=st.sampled_from([None, 1, "\t"]), is_ascii=st.booleans())
async def test_every_object_passes_and_arrives_whole(
    user_http: httpx.AsyncClient, tools, inputs, indent, is_ascii
) -> None:
    tools.always("RunTool", tools_service_pb2.Run())
    body = json.dumps({"inputs": inputs}, indent=indent, ensure_ascii=is_ascii).encode()
    reply = await user_http.post(RUN, content=body, headers=JSON)
    assert reply.status_code == 200, reply.text
    arrived = tools.calls["RunTool"][-1].inputs
    assert set(arrived.fields) == set(inputs)


@REAL_ENVOY
@given(inputs=OBJECTS, at=st.integers(0, 10_000), to=st.sampled_from('{}[]",:\\0e+-. ntf'))
async def test_damaged_json_never_reaches_a_service(
    user_http: httpx.AsyncClient, tools, inputs, at, to
) -> None:
    tools.always("RunTool", tools_service_pb2.Run())
    text = json.dumps({"inputs": inputs})
    at %= len(text)
    damaged = text[:at] + to + text[at + 1 :]
    tools.calls.clear()
    reply = await user_http.post(RUN, content=damaged.encode(), headers=JSON)
    if not is_json(damaged):
        assert reply.status_code == 400, damaged
        assert not tools.calls
    else:
        # Still JSON, but perhaps with another field name or of another type.
        assert reply.status_code in (200, 400)


@REAL_ENVOY
@given(name=TEXTS.filter(lambda name: name not in {"inputs", "count", "request_id"}))
async def test_no_other_name_is_a_field(user_http: httpx.AsyncClient, tools, name) -> None:
    reply = await user_http.post(RUN, json={name: 1})
    assert reply.status_code == 400
    assert reply.json()["details"][0]["reason"] == "UNKNOWN_FIELD"
    assert not tools.calls
