"""The form of keys, without a database."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshkit.peppers import Peppers
from platform_svc.access.key import ALPHABET, PREFIX, is_well_formed, texts_of

OLD, NEW = b"an old pepper that is long enough", b"a new pepper that is long enough"


@given(seed=st.text(min_size=1), at=st.integers(min_value=0), by=st.sampled_from(ALPHABET))
def test_every_single_error_in_a_key_shows(seed, at, by) -> None:
    (text,) = texts_of(Peppers((NEW,)), seed)
    assert is_well_formed(text)
    place = len(PREFIX) + at % (len(text) - len(PREFIX))
    changed = text[:place] + by + text[place + 1 :]
    assert is_well_formed(changed) == (changed == text)


@given(st.text())
def test_other_texts_are_no_keys(text) -> None:
    assert not is_well_formed(text)
    assert not is_well_formed(PREFIX + text)


def test_seeds_and_peppers_give_keys_of_their_own() -> None:
    texts = [text for seed in "ab" for text in texts_of(Peppers((NEW, OLD)), seed)]
    assert len(set(texts)) == 4
    assert texts[1] == texts_of(Peppers((OLD,)), "a")[0]
