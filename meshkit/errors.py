"""The errors that a caller may see, each with its status code and its stable reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import grpc


class ServiceError(Exception):
    """An expected failure: a status code, a stable reason and metadata that is safe to show.

    `field_violations` holds pairs of field path and description; they become a BadRequest
    detail.
    """

    code: ClassVar[grpc.StatusCode]
    reason: ClassVar[str]

    field_violations: tuple[tuple[str, str], ...] = ()

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata


class InvalidRequest(ServiceError):
    """The request breaks a documented rule, whatever the state of the service."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "INVALID_REQUEST"

    def __init__(
        self, message: str, *, field_violations: Sequence[tuple[str, str]] = (), **metadata: str
    ) -> None:
        super().__init__(message, **metadata)
        self.field_violations = tuple(field_violations)


class MalformedRequest(ServiceError):
    """The request's bytes are no message of the method's type."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "MALFORMED_REQUEST"


class InvalidId(ServiceError):
    """A text is no id of the expected kind; metadata `field` says which."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "INVALID_ID"


class InvalidPageToken(ServiceError):
    """A page token was not made by this service, or was changed."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "INVALID_PAGE_TOKEN"


class Unauthenticated(ServiceError):
    """The caller did not prove who they are."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAUTHENTICATED
    reason: ClassVar[str] = "UNAUTHENTICATED"


class TokenMissing(Unauthenticated):
    """The method needs a token and the call has none."""

    reason: ClassVar[str] = "TOKEN_MISSING"


class TokenInvalid(Unauthenticated):
    """The token is forged, malformed, or meant for somebody else."""

    reason: ClassVar[str] = "TOKEN_INVALID"


class TokenExpired(Unauthenticated):
    """The token was good and is over."""

    reason: ClassVar[str] = "TOKEN_EXPIRED"


class PermissionDenied(ServiceError):
    """The caller is known and may not do this."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.PERMISSION_DENIED
    reason: ClassVar[str] = "PERMISSION_DENIED"


class NotAMember(PermissionDenied):
    """The caller acts in an organization that they do not belong to."""

    reason: ClassVar[str] = "NOT_A_MEMBER"


class ScopeMissing(PermissionDenied):
    """The API key was not made for this; metadata `permission` says what it lacks."""

    reason: ClassVar[str] = "SCOPE_MISSING"


class CallerNotAllowed(PermissionDenied):
    """The method is not for this kind of caller, or not for this service."""

    reason: ClassVar[str] = "CALLER_NOT_ALLOWED"


class IdempotencyKeyReused(ServiceError):
    """The idempotency key already names another request."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar[str] = "IDEMPOTENCY_KEY_REUSED"


class UnknownMethod(ServiceError):
    """No service here has such a method."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNIMPLEMENTED
    reason: ClassVar[str] = "UNKNOWN_METHOD"


class Unavailable(ServiceError):
    """Something that the call needs is away; the same call may work later."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAVAILABLE
    reason: ClassVar[str] = "UNAVAILABLE"


class DeadlineExceeded(ServiceError):
    """The call's time was over before its work."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.DEADLINE_EXCEEDED
    reason: ClassVar[str] = "DEADLINE_EXCEEDED"
