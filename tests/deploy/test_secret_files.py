from __future__ import annotations

import stat
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.local.secret_files import ensure_secrets
from meshkit.context import ServicePrincipal, UserPrincipal
from meshkit.errors import TokenInvalid
from meshkit.tokens import AccessTokenSigner, ServiceIdentity, TokenVerifier


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    ensure_secrets(tmp_path / "my secrets", ["us-east"])

    paths = [tmp_path / "my secrets", *(tmp_path / "my secrets").rglob("*")]
    assert len(paths) > 10
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in paths)


def test_secrets_are_made_once(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, ["us-east"])
    before = contents(tmp_path)

    ensure_secrets(tmp_path, ["us-east"])

    assert contents(tmp_path) == before


def test_two_data_folders_have_different_secrets(tmp_path: Path) -> None:
    ensure_secrets(tmp_path / "a", [])
    ensure_secrets(tmp_path / "b", [])

    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert a.keys() == b.keys()
    # Nobody is an operator yet, which is no secret.
    assert {name for name in a if a[name] == b[name]} == {"operators"}


def test_a_new_region_gets_a_key_and_the_others_keep_theirs(tmp_path: Path) -> None:
    files = ensure_secrets(tmp_path, ["us-east"])
    key = files.service_key("region:us-east").read_bytes()

    ensure_secrets(tmp_path, ["us-east", "eu-west"])

    assert files.service_key("region:us-east").read_bytes() == key
    verifier = TokenVerifier(files.jwks, files.service_jwks)
    token = ServiceIdentity("region:eu-west", files.service_key("region:eu-west")).token()
    assert verifier.verify_service(token) == ServicePrincipal("region", "eu-west")


def test_the_services_can_use_the_keys(tmp_path: Path) -> None:
    files = ensure_secrets(tmp_path, ["us-east"])
    verifier = TokenVerifier(files.jwks, files.service_jwks)
    user = UserPrincipal(uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3), is_operator=False)

    token, _ = AccessTokenSigner(files.jwt_private_key).sign(user, lifetime=timedelta(minutes=1))

    assert verifier.verify_user(token) == user
    for name in ("platform", "business", "inference"):
        service = ServiceIdentity(name, files.service_key(name)).token()
        assert verifier.verify_service(service) == ServicePrincipal(name, name)


def test_one_region_cannot_speak_for_another(tmp_path: Path) -> None:
    files = ensure_secrets(tmp_path, ["us-east", "eu-west"])
    verifier = TokenVerifier(files.jwks, files.service_jwks)

    with pytest.raises(TokenInvalid):
        verifier.verify_service(
            ServiceIdentity("region:eu-west", files.service_key("region:us-east")).token()
        )
