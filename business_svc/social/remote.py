"""Answers of other services, told apart: refused for a reason, or away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc

from meshkit.errors import Unavailable
from meshkit.stubs import remote_reason


class Refused(Exception):
    """Another service refused; `reason` is that of its ErrorInfo."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextlib.contextmanager
def answers_of(service: str) -> Iterator[None]:
    """Turn statuses of calls to a service into exceptions.

    Raises:
        Refused: it says that something is not there, not as it must be, or too much.
        Unavailable: it is away, busy or broken.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        reason = remote_reason(error)
        if reason is not None and error.code() in {
            grpc.StatusCode.NOT_FOUND,
            grpc.StatusCode.FAILED_PRECONDITION,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        }:
            raise Refused(reason) from error
        raise Unavailable(f"{service} is away at the moment", service=service) from error
