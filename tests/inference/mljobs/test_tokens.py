"""The tokenizer knows our words and survives all others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.mljobs.shapes.tokens import build_tokenizer
from inference.mljobs.shapes.vocabulary import known_words


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return build_tokenizer(tmp_path_factory.mktemp("tokenizer"), 40)


def test_each_known_word_is_one_token(tokenizer):
    for word in known_words():
        assert tokenizer.tokenize(word) == [word + "</w>"]
        assert tokenizer.tokenize(word.upper()) == [word + "</w>"]


def test_any_text_fits_the_context(tokenizer):
    @given(st.text(max_size=300))
    def fits(text):
        coded = tokenizer(text, padding="max_length", truncation=True, max_length=40)
        assert len(coded.input_ids) == 40
        assert max(coded.input_ids) < len(tokenizer)

    fits()
