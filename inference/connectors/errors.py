"""Every way the lease connector may refuse, with the status a region sees."""

from __future__ import annotations

import uuid
from typing import ClassVar

import grpc

from meshkit.errors import PermissionDenied, ServiceError
from meshkit.ids import format_id


class LeaseLost(ServiceError):
    """The lease expired, was given up, or belongs to a newer attempt; publish nothing."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "LEASE_LOST"

    def __init__(self, job_id: uuid.UUID, fence: int) -> None:
        super().__init__("the lease is lost", job_id=format_id("job", job_id), fence=str(fence))


class WrongRegion(PermissionDenied):
    """A region may only speak for itself."""

    reason: ClassVar[str] = "WRONG_REGION"

    def __init__(self, *, caller: str, region: str) -> None:
        super().__init__("a region may only speak for itself", caller=caller, region=region)


class RegionNotFound(ServiceError):
    """No region of this name has asked for work yet."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "REGION_NOT_FOUND"

    def __init__(self, region: str) -> None:
        super().__init__("no such region", region=region)
