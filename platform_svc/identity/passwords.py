"""Which passwords are refused because a guesser tries them first (OWASP ASVS 5.0, 6.2).

There is no rule of composition: length, not variety, makes a password strong. What is refused is
on a list of common passwords, is a pattern, or is taken from the form it stands in.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from platform_svc.identity.errors import WeakPassword

COMMON_FILE = Path(__file__).parent / "common_passwords.txt"
# A password made of repetitions of so few characters is one short word.
REPEATED_CHARACTERS_MAX = 4
RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
)
CONTEXT_CHARACTERS_MIN = 3
SERVICE_WORD = "reelmesh"


@cache
def common_passwords() -> frozenset[str]:
    """The list of common passwords of eight characters or more, case-folded."""
    lines = COMMON_FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def check_password(password: str, *, email: str, display_name: str) -> None:
    """Refuse a password that is easy to guess.

    Raises:
        WeakPassword: it is common, a pattern, or taken from the user's address or name.
    """
    folded = password.casefold()
    if folded in common_passwords():
        raise WeakPassword("common", "it is one of the most common passwords")
    if _is_repetition(folded) or _is_run(folded):
        raise WeakPassword("pattern", "it is a simple pattern")
    if _is_context(folded, email=email.casefold(), display_name=display_name.casefold()):
        raise WeakPassword("context", "it is made of your name or address")


def _is_repetition(text: str) -> bool:
    return any(
        text == (text[:size] * len(text))[: len(text)]
        for size in range(1, REPEATED_CHARACTERS_MAX + 1)
    )


def _is_run(text: str) -> bool:
    return any(text in run or text in run[::-1] for run in RUNS)


def _is_context(text: str, *, email: str, display_name: str) -> bool:
    local = email.partition("@")[0]
    words = {email, local, display_name, "".join(display_name.split()), SERVICE_WORD}
    # Digits and punctuation around a known word do not hide it.
    core = text.strip("0123456789!?.,-_#*+$@ ")
    known = {word for word in words if len(word) >= CONTEXT_CHARACTERS_MIN}
    return text in known or core in known or text.strip() in known
