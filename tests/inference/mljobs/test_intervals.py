"""Wilson intervals hold the share and match a published value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.mljobs.shapes.intervals import wilson_interval


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_share(right, total):
    right = min(right, total)
    low, high = wilson_interval(right, total)
    assert 0 <= low <= right / total + 1e-12
    assert right / total - 1e-12 <= high <= 1


def test_nineteen_of_twenty():
    low, high = wilson_interval(19, 20)
    assert low == pytest.approx(0.7639, abs=1e-4)
    assert high == pytest.approx(0.9911, abs=1e-4)
