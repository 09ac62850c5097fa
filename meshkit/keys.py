"""Ed25519 key files and the key sets (RFC 7517) that publish them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519_KEY_BYTES = 32
# A file is looked at no more often than this, because each call with a new token asks.
RELOAD_SECONDS = 1.0

Jwk = Mapping[str, str]


class InvalidKeyFile(Exception):
    """A key file is missing, or holds no Ed25519 key."""


def create_private_key(path: Path) -> Ed25519PrivateKey:
    """Make a new key and write it as PEM, readable by its owner only."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return key


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Return the key of a PEM file.

    Raises:
        InvalidKeyFile: there is no such file, or it holds something else.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidKeyFile(f"{path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidKeyFile(f"{path}: the key is not Ed25519")
    return key


def thumbprint(key: Ed25519PublicKey) -> str:
    """Return the key's RFC 7638 thumbprint."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _x(key)}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    return _base64url(hashlib.sha256(canonical).digest())


def public_jwk(key: Ed25519PublicKey, *, kid: str | None = None) -> Jwk:
    """Return the key as a JSON Web Key (RFC 8037); the kid is the thumbprint if not given."""
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "alg": "EdDSA",
        "kid": kid or thumbprint(key),
        "x": _x(key),
    }


def service_jwk(key: Ed25519PublicKey, name: str) -> Jwk:
    """Return the key of a service, such as "business" or "region:us-east".

    The kid names the service; the member `sub` pins the whole name, so that one region cannot
    speak for another.
    """
    service = name.partition(":")[0]
    return {**public_jwk(key, kid=f"{service}:{thumbprint(key)}"), "sub": name}


def write_key_set(path: Path, keys: Sequence[Jwk]) -> None:
    """Write a key set; a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps({"keys": list(keys)}, indent=2) + "\n")
    fresh.chmod(0o600)
    fresh.replace(path)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One verification key; `subject` is the only name it may speak for, if it is set."""

    key: Ed25519PublicKey
    subject: str | None


class KeySetFile:
    """The public keys of a key-set file, read again when the file changes.

    `generation` grows with each reading, so that holders of derived values can drop them. A file
    that is broken after the first reading leaves the keys as they were.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature: tuple[int, int, int] | None = None
        self._keys: dict[str, PublicKey] = {}
        self._checked_at = float("-inf")
        self.generation = 0

    def refresh(self) -> None:
        """Look at the file, at most once a second, and read it if it changed.

        Raises:
            InvalidKeyFile: the first reading failed.
        """
        now = time.monotonic()
        if now - self._checked_at < RELOAD_SECONDS:
            return
        self._checked_at = now
        try:
            status = self._path.stat()
            signature = (status.st_mtime_ns, status.st_size, status.st_ino)
            if signature == self._signature:
                return
            self._keys = _parse_key_set(self._path.read_bytes())
        except (OSError, ValueError, KeyError, TypeError) as error:
            if self.generation == 0:
                self._checked_at = float("-inf")
                raise InvalidKeyFile(f"{self._path}: {error!r}") from error
            return
        self._signature = signature
        self.generation += 1

    def find(self, kid: str) -> PublicKey | None:
        """Return the key with this id."""
        return self._keys.get(kid)


def _parse_key_set(data: bytes) -> dict[str, PublicKey]:
    keys = {}
    for jwk in json.loads(data)["keys"]:
        # Keys of other kinds are for other readers of the set (RFC 7517, section 5).
        if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
            continue
        x = base64.urlsafe_b64decode(jwk["x"] + "=" * (-len(jwk["x"]) % 4))
        if len(x) != ED25519_KEY_BYTES:
            raise ValueError("an Ed25519 key has 32 bytes")
        keys[str(jwk["kid"])] = PublicKey(Ed25519PublicKey.from_public_bytes(x), jwk.get("sub"))
    return keys


def _x(key: Ed25519PublicKey) -> str:
    return _base64url(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
