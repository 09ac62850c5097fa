"""Public ids: a prefix that names the kind, then a UUID in Crockford's base32 (TypeID 0.3)."""

from __future__ import annotations

import uuid

from meshkit.errors import InvalidId

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
SUFFIX_CHARACTERS = 26
BITS_PER_CHARACTER = 5
# 26 characters hold 130 bits, so the first one carries only 3 of the UUID's 128.
FIRST_CHARACTER_MAX = 7
VALUES = {character: value for value, character in enumerate(ALPHABET)}


def format_id(prefix: str, id: uuid.UUID) -> str:  # noqa: A002 - the word callers know
    """Return the public text of an id, such as `usr_01hx...`."""
    value = id.int
    characters = [
        ALPHABET[(value >> shift) & 0x1F]
        for shift in range((SUFFIX_CHARACTERS - 1) * BITS_PER_CHARACTER, -1, -BITS_PER_CHARACTER)
    ]
    return f"{prefix}_{''.join(characters)}"


def parse_id(prefix: str, text: str, *, field: str) -> uuid.UUID:
    """Return the UUID of a public id; `field` names the request field for the error.

    Raises:
        InvalidId: the text is no id with this prefix.
    """
    head, separator, suffix = text.rpartition("_")
    if head != prefix or not separator or len(suffix) != SUFFIX_CHARACTERS:
        raise _invalid(prefix, field)
    value = 0
    for character in suffix:
        digit = VALUES.get(character)
        if digit is None:
            raise _invalid(prefix, field)
        value = value << BITS_PER_CHARACTER | digit
    if VALUES[suffix[0]] > FIRST_CHARACTER_MAX:
        raise _invalid(prefix, field)
    return uuid.UUID(int=value)


def _invalid(prefix: str, field: str) -> InvalidId:
    return InvalidId(f"{field} is no id that begins with {prefix}_", field=field)
