"""Sealing, and how codes are told apart, without a database."""

from __future__ import annotations

import base64
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit.config import Environment, InvalidConfiguration
from meshkit.sealing import InvalidKeys, Sealer, Unreadable
from platform_svc.identity.codes import Purpose, digest_of
from platform_svc.identity.config import IdentitySettings
from platform_svc.identity.two_step import recovery_digest

OLD, NEW = bytes(32), bytes(range(32))


def text_of(*keys: bytes) -> str:
    return "\n".join(base64.urlsafe_b64encode(key).decode() for key in keys)


@given(st.binary(max_size=200))
def test_what_was_sealed_opens_to_the_same(plain: bytes) -> None:
    sealer = Sealer.from_text(text_of(NEW))
    sealed = sealer.seal(plain, context="totp:1")
    assert sealer.open(sealed, context="totp:1") == plain
    assert sealed != sealer.seal(plain, context="totp:1")


def test_what_was_sealed_for_another_user_or_changed_does_not_open() -> None:
    sealer = Sealer.from_text(text_of(NEW))
    sealed = sealer.seal(b"secret", context="totp:1")
    with pytest.raises(Unreadable):
        sealer.open(sealed, context="totp:2")
    for at in (0, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(Unreadable):
            sealer.open(bytes(changed), context="totp:1")


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    sealed = Sealer.from_text(text_of(OLD)).seal(b"secret", context="x")
    both = Sealer.from_text(text_of(NEW, OLD))
    assert both.open(sealed, context="x") == b"secret"
    resealed = both.seal(b"secret", context="x")
    assert Sealer.from_text(text_of(NEW)).open(resealed, context="x") == b"secret"
    with pytest.raises(Unreadable):
        Sealer.from_text(text_of(NEW)).open(sealed, context="x")


@pytest.mark.parametrize("text", ["", "short", text_of(bytes(16)), text_of(NEW) + "\n!!!"])
def test_bad_keys_are_refused(text: str) -> None:
    with pytest.raises(InvalidKeys):
        Sealer.from_text(text)


def test_the_configuration_names_bad_keys(tmp_path) -> None:
    (tmp_path / "keys").write_text("short")
    environment = Environment({"REELMESH_IDENTITY_KEYS_FILE": str(tmp_path / "keys")})
    IdentitySettings.from_environment(environment)
    with pytest.raises(InvalidConfiguration, match="REELMESH_IDENTITY_KEYS_FILE holds no keys"):
        environment.finish()


def test_digests_tell_purposes_and_users_apart() -> None:
    digests = {digest_of(purpose, "the same text") for purpose in Purpose}
    digests |= {recovery_digest(uuid.UUID(int=user), "the same text") for user in range(3)}
    assert len(digests) == len(Purpose) + 3
