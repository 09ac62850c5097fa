"""Every way an identity call may refuse, with the status a caller sees."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import ClassVar

import grpc

from meshkit.errors import ServiceError


class EmailTaken(ServiceError):
    """Another user has this email address."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar[str] = "EMAIL_TAKEN"

    def __init__(self) -> None:
        super().__init__("this email address is taken")


class WeakPassword(ServiceError):
    """The password is too common, or is made of the user's own name or address."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "WEAK_PASSWORD"

    def __init__(self, rule: str, description: str) -> None:
        super().__init__(f"the password is too easy to guess: {description}", rule=rule)
        self.field_violations = (("password", description),)


class WrongCredentials(ServiceError):
    """No user has this email and password; which of the two is wrong is not told."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAUTHENTICATED
    reason: ClassVar[str] = "WRONG_CREDENTIALS"

    def __init__(self) -> None:
        super().__init__("the email or the password is wrong")


class TooManyAttempts(ServiceError):
    """Too many attempts for this account or from this address."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar[str] = "TOO_MANY_ATTEMPTS"

    def __init__(self, retry_after: timedelta) -> None:
        seconds = max(1, math.ceil(retry_after.total_seconds()))
        super().__init__("too many attempts; wait a little", retry_after_seconds=str(seconds))


class HashingQueueFull(ServiceError):
    """So many passwords wait to be checked that this one was not queued."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAVAILABLE
    reason: ClassVar[str] = "HASHING_QUEUE_FULL"

    def __init__(self) -> None:
        super().__init__("too many people are signing in right now; try again")


class InvalidRefreshToken(ServiceError):
    """The text is no refresh token of ours."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAUTHENTICATED
    reason: ClassVar[str] = "INVALID_REFRESH_TOKEN"

    def __init__(self) -> None:
        super().__init__("the refresh token is not valid")


class RefreshTokenReused(ServiceError):
    """The refresh token was traded before; its session has been ended for safety."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAUTHENTICATED
    reason: ClassVar[str] = "REFRESH_TOKEN_REUSED"

    def __init__(self) -> None:
        super().__init__("the refresh token was used before; sign in again")


class SessionExpired(ServiceError):
    """The session was signed out, was idle for too long, or has reached its greatest age."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAUTHENTICATED
    reason: ClassVar[str] = "SESSION_EXPIRED"

    def __init__(self) -> None:
        super().__init__("the session is over; sign in again")


class UserNotFound(ServiceError):
    """The user of the access token does not exist any more."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "USER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no such user")


class InvalidCode(ServiceError):
    """The mailed code is unknown, used, too old, or for something else; which, is not told."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "INVALID_CODE"

    def __init__(self) -> None:
        super().__init__("the code is not valid or not valid any more; ask for another one")


class InvalidChallenge(ServiceError):
    """The challenge of a sign-in is unknown, used or too old."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAUTHENTICATED
    reason: ClassVar[str] = "INVALID_CHALLENGE"

    def __init__(self) -> None:
        super().__init__("the sign-in took too long or was completed; sign in again")


class WrongSecondStep(ServiceError):
    """The code is not the authenticator's, was used before, or is no recovery code."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNAUTHENTICATED
    reason: ClassVar[str] = "WRONG_SECOND_STEP"

    def __init__(self) -> None:
        super().__init__("the code of the second step is wrong or was used before")


class RecentSignInRequired(ServiceError):
    """The session is too old for what it asks for."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "RECENT_SIGN_IN_REQUIRED"

    def __init__(self, within: timedelta) -> None:
        minutes = int(within.total_seconds()) // 60
        super().__init__("sign in again to do this, and do it soon", within_minutes=str(minutes))


class SessionNotFound(ServiceError):
    """The user has no such session."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "SESSION_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no such session")


class TwoStepEnabled(ServiceError):
    """Two-step sign-in is on already."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "TWO_STEP_ENABLED"

    def __init__(self) -> None:
        super().__init__("two-step sign-in is on already; turn it off first")


class NoEnrolment(ServiceError):
    """There is no authenticator to confirm, or its enrolment has ended."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "NO_ENROLMENT"

    def __init__(self) -> None:
        super().__init__("enrol an authenticator first; an enrolment ends after 15 minutes")
