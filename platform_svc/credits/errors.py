"""Every way a credits call may refuse, with the status a caller sees."""

from __future__ import annotations

from typing import ClassVar

import grpc

from meshkit.errors import ServiceError


class AccountFull(ServiceError):
    """The grant would lift the account above its limit."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "ACCOUNT_FULL"

    def __init__(self, *, credits_max: int) -> None:
        super().__init__("the account cannot hold that many credits", credits_max=str(credits_max))


class InsufficientCredits(ServiceError):
    """The account has fewer available credits than were asked for."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "INSUFFICIENT_CREDITS"

    def __init__(self, *, available_credits: int, requested_credits: int) -> None:
        super().__init__(
            "not enough credits",
            available_credits=str(available_credits),
            requested_credits=str(requested_credits),
        )


class HoldIdReused(ServiceError):
    """The hold id already names a hold of another organization or amount."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar[str] = "HOLD_ID_REUSED"

    def __init__(self, hold_id: str) -> None:
        super().__init__("the hold id is in use for something else", hold_id=hold_id)


class HoldNotFound(ServiceError):
    """No hold has this id."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "HOLD_NOT_FOUND"

    def __init__(self, hold_id: str) -> None:
        super().__init__("no such hold", hold_id=hold_id)


class HoldClosed(ServiceError):
    """The hold has ended in a way that contradicts the call."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "HOLD_CLOSED"

    def __init__(self, hold_id: str, *, state: str, captured_credits: int) -> None:
        super().__init__(
            "the hold is closed",
            hold_id=hold_id,
            state=state,
            captured_credits=str(captured_credits),
        )


class CaptureExceedsHold(ServiceError):
    """More credits were to be charged than the hold set aside."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "CAPTURE_EXCEEDS_HOLD"

    def __init__(self, hold_id: str, *, held_credits: int, requested_credits: int) -> None:
        super().__init__(
            "the capture is larger than the hold",
            hold_id=hold_id,
            held_credits=str(held_credits),
            requested_credits=str(requested_credits),
        )
