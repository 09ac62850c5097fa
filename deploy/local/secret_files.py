"""Keys and passwords of the local platform, made once and kept in the data folder."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshkit.keys import (
    create_private_key,
    public_jwk,
    read_private_key,
    service_jwk,
    write_key_set,
)

SERVICES: Final = ("platform", "business", "inference", "inbound")
PASSWORD_BYTES: Final = 24
SEALING_KEY_BYTES: Final = 32


@dataclass(frozen=True)
class SecretFiles:
    """The paths of every secret; files are readable by their owner only."""

    folder: Path

    @property
    def jwt_private_key(self) -> Path:
        """Sign access tokens of users."""
        return self.folder / "jwt_private.pem"

    @property
    def identity_keys(self) -> Path:
        """Encrypt what identity must read again, such as the secrets of authenticators."""
        return self.folder / "identity_keys"

    @property
    def webhook_keys(self) -> Path:
        """Encrypt the secrets that webhooks are signed with."""
        return self.folder / "webhook_keys"

    @property
    def jwks(self) -> Path:
        """Verify access tokens of users."""
        return self.folder / "jwks.json"

    @property
    def service_jwks(self) -> Path:
        """Verify tokens between services."""
        return self.folder / "service_jwks.json"

    @property
    def operators(self) -> Path:
        """Name the users who operate the platform, one id a line."""
        return self.folder / "operators"

    @property
    def s3_access_key(self) -> Path:
        """Name the platform to the object store."""
        return self.folder / "s3_access_key"

    @property
    def s3_secret_key(self) -> Path:
        """Sign the platform's requests to the object store."""
        return self.folder / "s3_secret_key"

    @property
    def postgres_password(self) -> Path:
        """Open the database."""
        return self.folder / "postgres_password"

    @property
    def nats_password(self) -> Path:
        """Open the event bus."""
        return self.folder / "nats_password"

    @property
    def pepper(self) -> Path:
        """Hash API keys and the tokens of invitations."""
        return self.folder / "pepper"

    @property
    def ray_token(self) -> Path:
        """Open the Ray clusters, which run any code that is sent to them."""
        return self.folder / "ray_token"

    def service_key(self, name: str) -> Path:
        """Sign what a service, such as "business" or "region:us-east", sends to others."""
        return self.folder / "services" / f"{name.replace(':', '-')}.pem"


def ensure_secrets(folder: Path, regions: Sequence[str]) -> SecretFiles:
    """Make what is missing and leave the rest as it is."""
    files = SecretFiles(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path in (files.postgres_password, files.nats_password, files.ray_token, files.pepper):
        _ensure_text(path, secrets.token_hex(PASSWORD_BYTES))
    _ensure_text(files.operators, "# Ids of the users who operate this platform, one a line.\n")
    _ensure_text(files.s3_access_key, secrets.token_hex(10).upper())
    _ensure_text(files.s3_secret_key, secrets.token_urlsafe(PASSWORD_BYTES))
    for path in (files.identity_keys, files.webhook_keys):
        sealing_key = base64.urlsafe_b64encode(secrets.token_bytes(SEALING_KEY_BYTES))
        _ensure_text(path, sealing_key.decode())
    _ensure_key(files.jwt_private_key)
    signing = read_private_key(files.jwt_private_key).public_key()
    write_key_set(files.jwks, [public_jwk(signing)])
    names = (*SERVICES, *(f"region:{region}" for region in regions))
    for name in names:
        _ensure_key(files.service_key(name))
    write_key_set(
        files.service_jwks,
        [service_jwk(read_private_key(files.service_key(n)).public_key(), n) for n in names],
    )
    return files


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads; a reader sees the old text or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


def _ensure_text(path: Path, text: str) -> None:
    if not path.exists():
        write_private(path, text)


def _ensure_key(path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # A kill between making and writing must not leave half a key behind.
        fresh = path.with_name(f".{path.name}.new")
        create_private_key(fresh)
        fresh.replace(path)
