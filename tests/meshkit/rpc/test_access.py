"""Who gets in: tokens good and bad, and the authorization option of each method."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from meshkit.authorization import Decision
from meshkit.context import UserPrincipal
from meshkit.ids import format_id
from meshkit.keys import create_private_key, public_jwk, read_private_key, thumbprint, write_key_set
from meshkit.testing.clock import ManualClock
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import serve

OTHER_ORGANIZATION = UUID("01890000-0000-7000-8000-0000000000ff")


def claims(**changes):
    good = {
        "iss": "https://reelmesh.local",
        "aud": "reelmesh",
        "sub": format_id("usr", USER.user_id),
        "sid": format_id("ses", USER.session_id),
        "org": format_id("org", USER.organization_id),
        "jti": "1",
        "iat": 1_700_000_000,
        "exp": 4_000_000_000,
    }
    return {key: value for key, value in (good | changes).items() if value is not None}


def signed(identity: TestIdentity, payload, **headers) -> str:
    key = read_private_key(identity.private_key_file)
    given = {"typ": "at+jwt", "kid": thumbprint(key.public_key())} | headers
    return jwt.encode(payload, key, algorithm="EdDSA", headers=given)


def unsigned(identity: TestIdentity) -> str:
    key = read_private_key(identity.private_key_file)
    header = {"alg": "none", "typ": "at+jwt", "kid": thumbprint(key.public_key())}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims())]
    return b".".join(part.rstrip(b"=") for part in parts).decode() + "."


def hmac_with_public_key(identity: TestIdentity) -> str:
    key = read_private_key(identity.private_key_file).public_key()
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    headers = {"typ": "at+jwt", "kid": thumbprint(key)}
    return jwt.encode(claims(), raw, algorithm="HS256", headers=headers)


def stranger(identity: TestIdentity, tmp_path) -> str:
    key = create_private_key(tmp_path / "stranger.pem")
    own = read_private_key(identity.private_key_file).public_key()
    headers = {"typ": "at+jwt", "kid": thumbprint(own)}
    return jwt.encode(claims(), key, algorithm="EdDSA", headers=headers)


BAD_TOKENS = {
    "alg none": lambda identity, path: unsigned(identity),
    "hs256 with the public key": lambda identity, path: hmac_with_public_key(identity),
    "foreign signature": stranger,
    "wrong audience": lambda identity, path: signed(identity, claims(aud="elsewhere")),
    "wrong issuer": lambda identity, path: signed(identity, claims(iss="https://evil.test")),
    "no issuer": lambda identity, path: signed(identity, claims(iss=None)),
    "wrong type": lambda identity, path: signed(identity, claims(), typ="JWT"),
    "unknown key": lambda identity, path: signed(identity, claims(), kid="nobody"),
    "key from elsewhere": lambda identity, path: signed(
        identity, claims(), jku="https://evil.test"
    ),
    "critical header": lambda identity, path: signed(identity, claims(), crit=["exp"]),
    "no expiry": lambda identity, path: signed(identity, claims(exp=None)),
    "expiry is no number": lambda identity, path: signed(identity, claims(exp="soon")),
    "not good yet": lambda identity, path: signed(identity, claims(nbf=3_900_000_000)),
    "no organization": lambda identity, path: signed(identity, claims(org=None)),
    "subject is no user": lambda identity, path: signed(identity, claims(sub="usr_1")),
    "service token": lambda identity, path: identity.service_token("business"),
    "no token at all": lambda identity, path: "nonsense",
    "deep header": lambda identity, path: base64.urlsafe_b64encode(b"[" * 3000).decode() + ".e30.",
    "too long": lambda identity, path: "a" * 5000,
    "empty": lambda identity, path: "",
}


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_forged_token_is_refused(
    stub, request_class, identity, refused, tmp_path, name
) -> None:
    metadata = (("authorization", f"Bearer {BAD_TOKENS[name](identity, tmp_path)}"),)
    refusal = await refused(stub.User(request_class(), metadata=metadata))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    assert refusal.info.reason == "TOKEN_INVALID"
    # Where no token is needed, a bad one is as good as none.
    assert (await stub.Anyone(request_class(text="a"), metadata=metadata)).text == "a"


async def test_expired_token_has_its_own_reason(stub, request_class, identity, refused) -> None:
    token = signed(identity, claims(exp=1_700_000_900))
    metadata = (("authorization", f"Bearer {token}"),)
    refusal = await refused(stub.User(request_class(), metadata=metadata))
    assert refusal.info.reason == "TOKEN_EXPIRED"


async def test_remembered_token_expires(
    echo_servicer, request_class, stub_class, refused, tmp_path
) -> None:
    clock = ManualClock()
    identity = TestIdentity(tmp_path, ambient=clock.ambient)
    async with (
        serve(echo_servicer.service(request_class), identity=identity) as mesh,
        mesh.as_user(stub_class) as stub,
    ):
        await stub.User(request_class())
        clock.advance(seconds=299)
        await stub.User(request_class())
        clock.advance(seconds=10)
        assert (await refused(stub.User(request_class()))).info.reason == "TOKEN_EXPIRED"


async def test_token_of_a_removed_key_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("meshkit.keys.RELOAD_SECONDS", 0.0)
    identity = TestIdentity(tmp_path)
    verifier, token = identity.verifier(), identity.user_token()
    assert verifier.verify_user(token) == USER
    replacement = create_private_key(tmp_path / "next.pem").public_key()
    write_key_set(identity.jwks_file, [public_jwk(replacement)])
    with pytest.raises(Exception, match="unknown"):
        verifier.verify_user(token)


async def test_broken_key_file_leaves_the_keys_as_they_were(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("meshkit.keys.RELOAD_SECONDS", 0.0)
    identity = TestIdentity(tmp_path)
    verifier, token = identity.verifier(), identity.user_token()
    assert verifier.verify_user(token) == USER
    identity.jwks_file.write_text("{")
    assert verifier.verify_user(token) == USER


@pytest.mark.parametrize("scheme", ["Basic", "Token"])
async def test_other_schemes_are_no_token(stub, request_class, identity, refused, scheme) -> None:
    metadata = (("authorization", f"{scheme} {identity.user_token()}"),)
    refusal = await refused(stub.User(request_class(), metadata=metadata))
    assert refusal.info.reason == "TOKEN_MISSING"


async def test_service_gets_in_where_it_is_named(stub, request_class, identity, refused) -> None:
    await stub.Business(request_class(), metadata=identity.service_metadata("business"))
    await stub.Either(request_class(), metadata=identity.service_metadata("region:us-east"))
    refusal = await refused(
        stub.Business(request_class(), metadata=identity.service_metadata("platform"))
    )
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    assert refusal.info.reason == "CALLER_NOT_ALLOWED"


@pytest.mark.parametrize("method", ["Business", "Operator"])
async def test_user_is_kept_out_where_only_others_may_call(
    stub, request_class, identity, refused, method
) -> None:
    call = getattr(stub, method)(request_class(), metadata=identity.user_metadata())
    refusal = await refused(call)
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    assert refusal.info.reason == "CALLER_NOT_ALLOWED"


async def test_operator_gets_in(stub, request_class, identity) -> None:
    operator = replace(USER, is_operator=True)
    await stub.Operator(request_class(), metadata=identity.user_metadata(operator))


async def test_service_cannot_speak_for_another(stub, request_class, identity, refused) -> None:
    key = read_private_key(identity.service_key_file("platform"))
    kid = f"platform:{thumbprint(key.public_key())}"
    payload = {"sub": "business", "aud": "reelmesh-internal", "iat": 1, "exp": 200}
    for claimed in (kid, kid.replace("platform", "business")):
        headers = {"typ": "svc+jwt", "kid": claimed}
        token = jwt.encode(payload, key, algorithm="EdDSA", headers=headers)
        call = stub.Business(request_class(), metadata=(("x-reelmesh-service", token),))
        assert (await refused(call)).info.reason == "TOKEN_INVALID"


async def test_region_cannot_speak_for_another_region(
    stub, request_class, identity, refused
) -> None:
    key = read_private_key(identity.service_key_file("region:us-east"))
    now = int(identity.ambient.now().timestamp())
    payload = {"sub": "region:eu-west", "aud": "reelmesh-internal", "iat": now, "exp": now + 60}
    headers = {"typ": "svc+jwt", "kid": f"region:{thumbprint(key.public_key())}"}
    token = jwt.encode(payload, key, algorithm="EdDSA", headers=headers)
    call = stub.Either(request_class(), metadata=(("x-reelmesh-service", token),))
    assert (await refused(call)).info.reason == "TOKEN_INVALID"


async def test_long_lived_service_token_is_refused(stub, request_class, identity, refused) -> None:
    key = read_private_key(identity.service_key_file("business"))
    now = int(identity.ambient.now().timestamp())
    payload = {"sub": "business", "aud": "reelmesh-internal", "iat": now, "exp": now + 301}
    headers = {"typ": "svc+jwt", "kid": f"business:{thumbprint(key.public_key())}"}
    token = jwt.encode(payload, key, algorithm="EdDSA", headers=headers)
    call = stub.Business(request_class(), metadata=(("x-reelmesh-service", token),))
    assert (await refused(call)).info.reason == "TOKEN_INVALID"


async def test_expired_service_token_is_refused(stub, request_class, identity, refused) -> None:
    clock = ManualClock()
    old = TestIdentity.service(replace_ambient(identity, clock), "business").token()
    call = stub.Business(request_class(), metadata=(("x-reelmesh-service", old),))
    assert (await refused(call)).info.reason == "TOKEN_EXPIRED"


def replace_ambient(identity: TestIdentity, clock: ManualClock) -> TestIdentity:
    """The same keys at another time."""
    other = object.__new__(TestIdentity)
    other.folder, other.ambient = identity.folder, clock.ambient
    return other


async def test_service_identity_renews_its_token(tmp_path) -> None:
    clock = ManualClock()
    identity = TestIdentity(tmp_path, ambient=clock.ambient)
    service, verifier = identity.service("business"), identity.verifier()
    first = service.token()
    clock.advance(seconds=100)
    assert service.token() == first
    clock.advance(seconds=100)
    assert service.token() != first
    assert verifier.verify_service(service.token()).service == "business"


async def test_member_acts_in_the_tokens_organization(
    stub, request_class, identity, refused
) -> None:
    metadata = identity.user_metadata()
    own = format_id("org", USER.organization_id)
    await stub.Member(request_class(org_id=own), metadata=metadata)
    other = format_id("org", OTHER_ORGANIZATION)
    refusal = await refused(stub.Member(request_class(org_id=other), metadata=metadata))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    assert refusal.info.reason == "NOT_A_MEMBER"
    refusal = await refused(stub.Member(request_class(org_id="org_1"), metadata=metadata))
    assert refusal.info.reason == "INVALID_ID"
    assert dict(refusal.info.metadata) == {"field": "org_id"}


class NothingAllowed:
    async def decide(
        self, principal: UserPrincipal, permission: str, organization_id: UUID
    ) -> Decision:
        return Decision.NOT_PERMITTED


async def test_member_without_the_permission_is_refused(
    echo_servicer, request_class, stub_class, identity, refused
) -> None:
    service = echo_servicer.service(request_class)
    async with (
        serve(service, identity=identity, authorizer=NothingAllowed()) as mesh,
        mesh.as_user(stub_class) as stub,
    ):
        own = format_id("org", USER.organization_id)
        refusal = await refused(stub.Member(request_class(org_id=own)))
        assert refusal.info.reason == "PERMISSION_DENIED"
        assert dict(refusal.info.metadata) == {"permission": "echo.read"}


def test_access_token_lives_no_longer_than_allowed(identity) -> None:
    with pytest.raises(AssertionError):
        identity.user_token(lifetime=timedelta(hours=1))
