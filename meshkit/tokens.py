"""Tokens that say who calls: access tokens of users and short ones between services."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt

from meshkit.clock import Ambient
from meshkit.context import ApiKey, ServicePrincipal, UserPrincipal
from meshkit.errors import InvalidId, TokenExpired, TokenInvalid
from meshkit.ids import format_id, parse_id
from meshkit.keys import Jwk, KeySetFile, public_jwk, read_private_key, service_jwk, thumbprint

DEFAULT_ISSUER = "https://reelmesh.local"
DEFAULT_AUDIENCE = "reelmesh"
SERVICE_AUDIENCE = "reelmesh-internal"
ALGORITHM = "EdDSA"
USER_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068's media type, no secret
SERVICE_TOKEN_TYPE = "svc+jwt"  # noqa: S105 - a media type, no secret

TOKEN_CHARACTERS_MAX = 4096
ACCESS_TOKEN_SECONDS_MAX = 900
SERVICE_TOKEN_SECONDS_MAX = 300
SERVICE_TOKEN_SECONDS = 240
# A service token is replaced while it is still good for a call that waits in a queue.
SERVICE_TOKEN_SPARE_SECONDS = 60
# Clocks of two machines may differ by this much.
LEEWAY_SECONDS = 5
VERIFIED_TOKENS_MAX = 4096
# Headers that name keys from elsewhere or change how the token is read; ours have none.
FORBIDDEN_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64"})


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: UserPrincipal | ServicePrincipal
    expires_at: float
    not_before: float


@dataclass(frozen=True, slots=True)
class _Kind:
    type: str
    audience: str
    issuer: str | None
    keys: KeySetFile
    principal: Callable[[Mapping[str, Any], str], UserPrincipal | ServicePrincipal]


class TokenVerifier:
    """Verifies both kinds of token against key-set files, which are read again on change.

    Verified tokens are remembered by their hash until they expire or a key set changes, so a
    caller pays for the signature once.
    """

    def __init__(
        self,
        jwks_file: Path,
        service_jwks_file: Path,
        issuer: str = DEFAULT_ISSUER,
        audience: str = DEFAULT_AUDIENCE,
        *,
        ambient: Ambient | None = None,
    ) -> None:
        self._now = (ambient or Ambient()).now
        self._user = _Cached(
            _Kind(USER_TOKEN_TYPE, audience, issuer, KeySetFile(jwks_file), _user_principal)
        )
        self._service = _Cached(
            _Kind(
                SERVICE_TOKEN_TYPE,
                SERVICE_AUDIENCE,
                None,
                KeySetFile(service_jwks_file),
                _service_principal,
            )
        )

    def verify_user(self, token: str) -> UserPrincipal:
        """Return the user whose access token this is.

        Raises:
            TokenInvalid: the token is forged, malformed or for somebody else.
            TokenExpired: the token is over.
        """
        principal = self._user.verify(token, self._now().timestamp())
        assert isinstance(principal, UserPrincipal)
        return principal

    def verify_service(self, token: str) -> ServicePrincipal:
        """Return the service whose token this is.

        Raises:
            TokenInvalid: the token is forged, malformed or for somebody else.
            TokenExpired: the token is over.
        """
        principal = self._service.verify(token, self._now().timestamp())
        assert isinstance(principal, ServicePrincipal)
        return principal


class _Cached:
    """Verification of one kind of token, with a bounded memory of good ones."""

    def __init__(self, kind: _Kind) -> None:
        self._kind = kind
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._generation = 0

    def verify(self, token: str, now: float) -> UserPrincipal | ServicePrincipal:
        keys = self._kind.keys
        keys.refresh()
        if keys.generation != self._generation:
            self._verified.clear()
            self._generation = keys.generation
        digest = hashlib.blake2b(token.encode(), digest_size=16).digest()
        verified = self._verified.get(digest)
        if verified is None:
            verified = _verify(token, self._kind)
            self._verified[digest] = verified
            if len(self._verified) > VERIFIED_TOKENS_MAX:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(digest)
        if now >= verified.expires_at + LEEWAY_SECONDS:
            del self._verified[digest]
            raise TokenExpired("the token has expired")
        if now < verified.not_before - LEEWAY_SECONDS:
            raise TokenInvalid("the token is not good yet")
        return verified.principal


def _verify(token: str, kind: _Kind) -> _Verified:
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise TokenInvalid("the token is too long")
    try:
        header = jwt.get_unverified_header(token)
        _check_header(header, kind.type)
        key = kind.keys.find(str(header["kid"]))
        if key is None:
            raise TokenInvalid("the token's key is unknown")
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[ALGORITHM],
            audience=kind.audience,
            issuer=kind.issuer,
            # Times are checked against the injected clock, also for remembered tokens.
            options={
                "require": ["exp", "iat", "sub", "aud"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, KeyError, ValueError, RecursionError) as error:
        raise TokenInvalid("the token is not valid") from error
    if key.subject is not None and key.subject != claims["sub"]:
        raise TokenInvalid("the token's key belongs to somebody else")
    issued_at, expires_at = _time(claims, "iat"), _time(claims, "exp")
    not_before = _time(claims, "nbf") if "nbf" in claims else issued_at
    if kind.type == SERVICE_TOKEN_TYPE and expires_at - issued_at > SERVICE_TOKEN_SECONDS_MAX:
        raise TokenInvalid("the token lives too long")
    return _Verified(kind.principal(claims, str(header["kid"])), expires_at, not_before)


def _check_header(header: Mapping[str, Any], type_: str) -> None:
    if header.get("alg") != ALGORITHM or header.get("typ") != type_:
        raise TokenInvalid("the token is of another kind")
    if not FORBIDDEN_HEADERS.isdisjoint(header):
        raise TokenInvalid("the token's header is not allowed")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenInvalid(f"the token's {name} is no number")
    return float(value)


def _user_principal(claims: Mapping[str, Any], kid: str) -> UserPrincipal:  # noqa: ARG001 - one signature for all kinds
    try:
        api_key = _api_key(claims)
        return UserPrincipal(
            user_id=parse_id("usr", str(claims["sub"]), field="sub"),
            session_id=(
                api_key.key_id
                if api_key is not None
                else parse_id("ses", str(claims.get("sid", "")), field="sid")
            ),
            organization_id=parse_id("org", str(claims.get("org", "")), field="org"),
            is_operator=claims.get("op") is True and api_key is None,
            api_key=api_key,
        )
    except InvalidId as error:
        raise TokenInvalid("the token's claims are incomplete") from error


def _api_key(claims: Mapping[str, Any]) -> ApiKey | None:
    if "key" not in claims:
        return None
    scopes = frozenset(str(claims.get("scope", "")).split())
    return ApiKey(parse_id("key", str(claims["key"]), field="key"), scopes)


def _service_principal(claims: Mapping[str, Any], kid: str) -> ServicePrincipal:
    service, _, name = str(claims["sub"]).partition(":")
    if not service or kid.partition(":")[0] != service:
        raise TokenInvalid("the token's key belongs to another service")
    return ServicePrincipal(service=service, name=name or service)


class AccessTokenSigner:
    """Signs the access tokens of users (RFC 9068)."""

    def __init__(
        self,
        private_key_file: Path,
        issuer: str = DEFAULT_ISSUER,
        audience: str = DEFAULT_AUDIENCE,
        *,
        ambient: Ambient | None = None,
    ) -> None:
        self._key = read_private_key(private_key_file)
        self._kid = thumbprint(self._key.public_key())
        self._issuer = issuer
        self._audience = audience
        self._ambient = ambient or Ambient()

    def sign(self, principal: UserPrincipal, *, lifetime: timedelta) -> tuple[str, datetime]:
        """Return a token for the user and the time when it expires."""
        assert timedelta(0) < lifetime <= timedelta(seconds=ACCESS_TOKEN_SECONDS_MAX)
        now = self._ambient.now()
        issued_at = int(now.timestamp())
        expires_at = issued_at + int(lifetime.total_seconds())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": format_id("usr", principal.user_id),
            **_credential(principal),
            "org": format_id("org", principal.organization_id),
            "jti": str(self._ambient.new_id()),
            "iat": issued_at,
            "exp": expires_at,
        }
        if principal.is_operator and principal.api_key is None:
            claims["op"] = True
        headers = {"typ": USER_TOKEN_TYPE, "kid": self._kid}
        token = jwt.encode(claims, self._key, algorithm=ALGORITHM, headers=headers)
        return token, datetime.fromtimestamp(expires_at, tz=now.tzinfo)

    def public_jwk(self) -> Jwk:
        """Return the key that verifies these tokens."""
        return public_jwk(self._key.public_key())


def _credential(principal: UserPrincipal) -> dict[str, str]:
    """Return the claims that say what the user called with: a session or an API key."""
    if principal.api_key is None:
        return {"sid": format_id("ses", principal.session_id)}
    return {
        "key": format_id("key", principal.api_key.key_id),
        "scope": " ".join(sorted(principal.api_key.scopes)),
    }


class ServiceIdentity:
    """What a service calls others as, such as "business" or "region:us-east"."""

    def __init__(self, name: str, key_file: Path, *, ambient: Ambient | None = None) -> None:
        self.name = name
        self._key_file = key_file
        self._ambient = ambient or Ambient()
        self._token = ""
        self._replace_at = float("-inf")
        read_private_key(key_file)

    def token(self) -> str:
        """Return a token that is good for at least a minute; the key file is read per minting."""
        now = self._ambient.now().timestamp()
        if now < self._replace_at:
            return self._token
        key = read_private_key(self._key_file)
        claims = {
            "sub": self.name,
            "aud": SERVICE_AUDIENCE,
            "iat": int(now),
            "exp": int(now) + SERVICE_TOKEN_SECONDS,
            "jti": str(self._ambient.new_id()),
        }
        headers = {
            "typ": SERVICE_TOKEN_TYPE,
            "kid": service_jwk(key.public_key(), self.name)["kid"],
        }
        self._token = jwt.encode(claims, key, algorithm=ALGORITHM, headers=headers)
        self._replace_at = now + SERVICE_TOKEN_SECONDS - SERVICE_TOKEN_SPARE_SECONDS
        return self._token
