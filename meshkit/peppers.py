"""Keyed hashes under secrets that live outside of the database, with room to rotate them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, Self

from meshkit.config import Environment

VARIABLE: Final = "REELMESH_PEPPER_FILE"
CHARACTERS_MIN: Final = 32


@dataclass(frozen=True)
class Peppers:
    """The secrets, newest first: the first makes hashes, the others still recognize theirs."""

    secrets: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Peppers({len(self.secrets)})"

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read the file that REELMESH_PEPPER_FILE names: one secret a line, newest first."""
        text = environment.secret_file(VARIABLE)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if any(len(line) < CHARACTERS_MIN for line in lines):
            environment.refuse(VARIABLE, f"holds a secret shorter than {CHARACTERS_MIN} characters")
        return cls(tuple(line.encode() for line in lines))

    def mac(self, purpose: str, data: bytes) -> bytes:
        """Return the HMAC-SHA256 under the newest secret; purposes never share hashes."""
        return _mac(self.secrets[0], purpose, data)

    def macs(self, purpose: str, data: bytes) -> list[bytes]:
        """Return the HMACs under every secret, newest first."""
        return [_mac(secret, purpose, data) for secret in self.secrets]


def _mac(secret: bytes, purpose: str, data: bytes) -> bytes:
    return hmac.new(secret, purpose.encode() + b"\0" + data, hashlib.sha256).digest()
