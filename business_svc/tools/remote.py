"""Statuses of calls to other parts, told apart: come back later, or it is refused for good."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import grpc

from meshkit.errors import Unavailable
from meshkit.stubs import RemoteError

logger = logging.getLogger(__name__)

EXPECTED = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
# The same request will be answered the same way, however often it is made.
PERMANENT = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)


class Refused(Exception):
    """Another part refused for good; `reason` and `metadata` are those of its ErrorInfo."""

    def __init__(self, message: str, reason: str, metadata: dict[str, str]) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = metadata


@contextlib.contextmanager
def answers_of(part: str) -> Iterator[None]:
    """Turn statuses of calls to a part into exceptions.

    Raises:
        Unavailable: the part is away, busy or broken; whether the call had an effect is unknown.
        Refused: the part has refused for good.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() in PERMANENT:
            raise _refusal(error) from error
        if error.code() not in EXPECTED:
            logger.warning(
                "call failed", extra={"part": part, "code": error.code().name}, exc_info=error
            )
        raise Unavailable(f"{part} is away at the moment", service=part) from error


def _refusal(error: grpc.aio.AioRpcError) -> Refused:
    message = error.details() or ""
    remote = RemoteError.of(error)
    if remote is None:
        return Refused(message, error.code().name, {})
    return Refused(message, remote.reason, remote.metadata)
