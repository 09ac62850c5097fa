"""Which passwords are refused, and that nothing else is asked of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_svc.identity.errors import WeakPassword
from platform_svc.identity.passwords import check_password, common_passwords

EMAIL = "ada.lovelace@example.com"
NAME = "Ada Lovelace"


def rule_against(password: str) -> str | None:
    try:
        check_password(password, email=EMAIL, display_name=NAME)
    except WeakPassword as refusal:
        return refusal.metadata["rule"]
    return None


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("password", "common"),
        ("PASSWORD", "common"),
        ("Password123!", "common"),
        ("123456789", "common"),
        ("aaaaaaaaaaaa", "pattern"),
        ("xyxyxyxyxy", "pattern"),
        ("9k2f9k2f9k2f", "pattern"),
        ("bcdefghij", "pattern"),
        ("lkjhgfdsapoiu", "pattern"),
        (EMAIL, "context"),
        (EMAIL.upper(), "context"),
        ("ada.lovelace", "context"),
        ("AdaLovelace2026!", "context"),
        ("reelmesh", "context"),
        ("Reelmesh123", "context"),
    ],
)
def test_what_a_guesser_tries_first_is_refused(password: str, rule: str) -> None:
    assert rule_against(password) == rule


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "tr0ub4dor&3",
        "пароль не из списка",
        "          x",
        "lowercaseonlybutlong",
        "84610293756",
    ],
)
def test_no_composition_is_asked_for(password: str) -> None:
    assert rule_against(password) is None


def test_the_list_holds_only_what_could_be_typed() -> None:
    words = common_passwords()
    assert len(words) > 3000
    assert all(len(word) >= 8 and word == word.casefold().strip() for word in words)


@given(st.text(min_size=8, max_size=128))
def test_any_text_gets_an_answer(password: str) -> None:
    assert rule_against(password) in {None, "common", "pattern", "context"}
