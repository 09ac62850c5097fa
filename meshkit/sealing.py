"""Encrypts what a service must read again, so that the database alone gives nothing away."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from meshkit.config import Environment

KEY_BYTES = 32
NONCE_BYTES = 12


class InvalidKeys(ValueError):
    """The text holds no keys."""


class Unreadable(Exception):
    """No key of ours opens this, or it was sealed for something else."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals with the newest key and opens with all, so that keys can be replaced one by one."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read keys: one a line, the newest first, each the base64url form of 32 bytes.

        Raises:
            InvalidKeys: it is something else.
        """
        try:
            keys = tuple(base64.urlsafe_b64decode(line) for line in text.split())
        except (binascii.Error, ValueError):
            raise InvalidKeys("each line must be base64url") from None
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise InvalidKeys(f"each line must be {KEY_BYTES} bytes in base64url")
        return cls(keys)

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """Encrypt; only the same context opens it again."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self.keys[0]).encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt.

        Raises:
            Unreadable: no key fits, it was changed, or the context is another one.
        """
        nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for key in self.keys:
            try:
                return AESGCM(key).decrypt(nonce, body, context.encode())
            except InvalidTag:
                continue
        raise Unreadable("no key of ours opens this")


def read_sealer(environment: Environment, variable: str) -> Sealer:
    """Read the keys in the file that the variable names."""
    text = environment.secret_file(variable)
    try:
        return Sealer.from_text(text)
    except InvalidKeys as error:
        if text:  # That it is missing was said already.
            environment.refuse(variable, f"holds no keys: {error}")
        return Sealer((bytes(KEY_BYTES),))
