"""Plain requests, of which a test names only what it is about."""

from __future__ import annotations

from reelmesh.platform.identity.v1 import identity_service_pb2 as pb

EMAIL = "Ada@Example.com"
PASSWORD = "correct horse battery"


def sign_up_request(**changes: str) -> pb.SignUpRequest:
    fields = {"email": EMAIL, "password": PASSWORD, "display_name": "Ada"}
    return pb.SignUpRequest(**(fields | changes))


def sign_in_request(**changes: str) -> pb.SignInRequest:
    return pb.SignInRequest(**({"email": EMAIL, "password": PASSWORD} | changes))


def refresh_request(reply: pb.SessionResponse) -> pb.RefreshSessionRequest:
    return pb.RefreshSessionRequest(refresh_token=reply.session.refresh_token)


def bearer(reply: pb.SessionResponse) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {reply.session.access_token}"),)


def key(value: str) -> tuple[tuple[str, str], ...]:
    return (("idempotency-key", value),)


def from_address(address: str) -> tuple[tuple[str, str], ...]:
    return (("x-forwarded-for", address),)
