"""Refresh tokens: opaque, good once, and chained so that a stolen one gives itself away.

A token is `rt_` and the base64url form of: session id (16 bytes), counter (4), secret (32), tag
(16), CRC-32 (4). The tag is an HMAC under a key of the session's own: it tells an old token of
ours, whose reuse ends the session, from an invention, which changes nothing. The checksum sheds
junk before any look-up. Only SHA-256 digests of tokens are stored.

The secret of a token's successor is an HMAC of a nonce, kept in the session's row, under the
token's own secret. So the one caller whose reply was lost, and nobody who has only the database,
can be given the same successor again (RFC 9700, 4.14.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import uuid
import zlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from platform_svc.identity.errors import InvalidRefreshToken, RefreshTokenReused, SessionExpired

PREFIX = "rt_"
SECRET_BYTES = 32
TAG_BYTES = 16
LAYOUT = struct.Struct(f">16sI{SECRET_BYTES}s{TAG_BYTES}s")
CHECKSUM = struct.Struct(">I")
TOKEN_BYTES = LAYOUT.size + CHECKSUM.size

IDLE_MAX = timedelta(days=14)
AGE_MAX = timedelta(days=90)
# How long after a trade the traded token still gives its successor: replies get lost.
LOST_REPLY_WINDOW = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One token of a session; `counter` grows with each trade."""

    session_id: uuid.UUID
    counter: int
    secret: bytes
    tag: bytes

    @classmethod
    def mint(cls, session_id: uuid.UUID, counter: int, secret: bytes, tag_key: bytes) -> Self:
        """Make a token that the session's key vouches for."""
        assert len(secret) == SECRET_BYTES, "256 bits"
        return cls(session_id, counter, secret, _tag(session_id, counter, secret, tag_key))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a token's text.

        Raises:
            InvalidRefreshToken: it is none.
        """
        try:
            raw = base64.b64decode(text.removeprefix(PREFIX), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRefreshToken from None
        body, checksum = raw[: LAYOUT.size], raw[LAYOUT.size :]
        is_ours = text.startswith(PREFIX) and len(raw) == TOKEN_BYTES
        if not is_ours or checksum != CHECKSUM.pack(zlib.crc32(body)):
            raise InvalidRefreshToken
        session, counter, secret, tag = LAYOUT.unpack(body)
        return cls(uuid.UUID(bytes=session), counter, secret, tag)

    def text(self) -> str:
        """Return the form that the client keeps."""
        body = LAYOUT.pack(self.session_id.bytes, self.counter, self.secret, self.tag)
        raw = body + CHECKSUM.pack(zlib.crc32(body))
        return PREFIX + base64.urlsafe_b64encode(raw).decode()

    def digest(self) -> bytes:
        """Return what is stored of the token."""
        return hashlib.sha256(self.text().encode()).digest()

    def is_vouched_for(self, tag_key: bytes) -> bool:
        """Whether the session with this key has made the token."""
        expected = _tag(self.session_id, self.counter, self.secret, tag_key)
        return hmac.compare_digest(self.tag, expected)

    def successor(self, nonce: bytes, tag_key: bytes) -> RefreshToken:
        """Make the token that this one is traded for."""
        counter = self.counter + 1
        message = nonce + self.session_id.bytes + counter.to_bytes(4, "big")
        secret = hmac.digest(self.secret, message, "sha256")
        return RefreshToken.mint(self.session_id, counter, secret, tag_key)


@dataclass(frozen=True, slots=True)
class Device:
    """What is known of where a call comes from: the program, and its network."""

    user_agent: str = ""
    network: str = ""


UNKNOWN_DEVICE = Device()


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in device; `nonce` is what its newest token was derived with."""

    id: uuid.UUID
    user_id: uuid.UUID
    org_id: uuid.UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    counter: int
    token_digest: bytes
    previous_digest: bytes | None
    nonce: bytes | None
    rotated_at: datetime | None
    tag_key: bytes
    user_agent: str
    network: str

    def is_over(self, now: datetime) -> bool:
        """Whether the session was ended, or is too old or idle."""
        too_old = now >= self.expires_at or now >= self.last_used_at + IDLE_MAX
        return self.revoked_at is not None or too_old


@dataclass(frozen=True, slots=True)
class Trade:
    """What a refresh gives: the session after it, and the token to hand out."""

    session: Session
    token: RefreshToken


def open_session(
    user_id: uuid.UUID,
    org_id: uuid.UUID,
    *,
    session_id: uuid.UUID,
    random: bytes,
    now: datetime,
    device: Device = UNKNOWN_DEVICE,
) -> Trade:
    """Begin a session; `random` is 64 fresh bytes, for the first secret and for the tags."""
    secret, tag_key = random[:SECRET_BYTES], random[SECRET_BYTES:]
    assert len(tag_key) == SECRET_BYTES, "two secrets of 256 bits"
    token = RefreshToken.mint(session_id, 0, secret, tag_key)
    session = Session(
        id=session_id,
        user_id=user_id,
        org_id=org_id,
        created_at=now,
        last_used_at=now,
        expires_at=now + AGE_MAX,
        revoked_at=None,
        counter=0,
        token_digest=token.digest(),
        previous_digest=None,
        nonce=None,
        rotated_at=None,
        tag_key=tag_key,
        user_agent=device.user_agent,
        network=device.network,
    )
    return Trade(session, token)


def trade(session: Session, token: RefreshToken, *, nonce: bytes, now: datetime) -> Trade:
    """Trade a token for its successor; `nonce` is 32 fresh bytes.

    Raises:
        InvalidRefreshToken: this session has not made the token.
        SessionExpired: the session is over.
        RefreshTokenReused: the token was traded before; the session must be ended.
    """
    assert session.id == token.session_id
    if not token.is_vouched_for(session.tag_key):
        raise InvalidRefreshToken
    if session.is_over(now):
        raise SessionExpired
    digest = token.digest()
    if hmac.compare_digest(digest, session.token_digest):
        successor = token.successor(nonce, session.tag_key)
        after = replace(
            session,
            counter=successor.counter,
            token_digest=successor.digest(),
            previous_digest=digest,
            nonce=nonce,
            last_used_at=now,
            rotated_at=now,
        )
        return Trade(after, successor)
    if _reply_was_lost(session, digest, now):
        assert session.nonce is not None
        return Trade(session, token.successor(session.nonce, session.tag_key))
    raise RefreshTokenReused


def _reply_was_lost(session: Session, digest: bytes, now: datetime) -> bool:
    if session.previous_digest is None or session.rotated_at is None:
        return False
    is_previous = hmac.compare_digest(digest, session.previous_digest)
    return is_previous and now <= session.rotated_at + LOST_REPLY_WINDOW


def _tag(session_id: uuid.UUID, counter: int, secret: bytes, tag_key: bytes) -> bytes:
    message = session_id.bytes + counter.to_bytes(4, "big") + secret
    return hmac.digest(tag_key, message, "sha256")[:TAG_BYTES]
