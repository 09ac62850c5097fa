"""Every way an audit call may refuse, with the status a caller sees."""

from __future__ import annotations

from typing import ClassVar

import grpc

from meshkit.errors import ServiceError


class InvalidTime(ServiceError):
    """A time of the filter is no RFC 3339 time."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "INVALID_TIME"

    def __init__(self, field: str) -> None:
        super().__init__(
            f"{field} is no time with its zone, such as 2026-01-10T09:00:00Z", field=field
        )
