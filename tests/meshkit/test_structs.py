"""Struct messages turn into JSON documents, within bounds."""

from __future__ import annotations

import math

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from meshkit.structs import SIZE_BYTES_MAX, UnacceptableStruct, plain, struct_of

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
DOCUMENTS = st.dictionaries(
    st.text(max_size=8), SCALARS | st.lists(SCALARS, max_size=3), max_size=5
)


@settings(deadline=None)  # A busy machine is no failure.
@given(DOCUMENTS)
def test_documents_survive_the_way_there_and_back(document: dict[str, object]) -> None:
    assert plain(struct_of(document)) == document


def test_whole_doubles_are_integers() -> None:
    struct = Struct(fields={"steps": Value(number_value=25.0), "half": Value(number_value=0.5)})
    document = plain(struct)
    assert document == {"steps": 25, "half": 0.5}
    assert isinstance(document["steps"], int)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_refused(number: float) -> None:
    with pytest.raises(UnacceptableStruct) as refused:
        plain(Struct(fields={"steps": Value(number_value=number)}))
    assert refused.value.field == "steps"


def test_a_deep_document_is_refused() -> None:
    value = Value(null_value=0)
    for _ in range(20):
        value = Value(struct_value=Struct(fields={"x": value}))
    with pytest.raises(UnacceptableStruct):
        plain(Struct(fields={"x": value}))


def test_deep_lists_are_refused() -> None:
    value = Value(null_value=0)
    for _ in range(20):
        outer = Value()
        outer.list_value.values.append(value)
        value = outer
    with pytest.raises(UnacceptableStruct):
        plain(Struct(fields={"x": value}))


def test_a_large_document_is_refused_by_its_size() -> None:
    with pytest.raises(UnacceptableStruct, match=str(SIZE_BYTES_MAX)):
        plain(struct_of({"prompt": "x" * 1_000_000}))


def test_a_value_without_a_kind_is_null() -> None:
    assert plain(Struct(fields={"x": Value()})) == {"x": None}
