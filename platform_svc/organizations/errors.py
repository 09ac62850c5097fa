"""Every way an organizations call may refuse, with the status a caller sees."""

from __future__ import annotations

from typing import ClassVar

import grpc

from meshkit.errors import ServiceError


class OrganizationNotFound(ServiceError):
    """The caller belongs to no such organization, whether or not it exists."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "ORGANIZATION_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("you belong to no such organization")


class OrganizationExists(ServiceError):
    """The id belongs to somebody else's organization, or the user has another personal one."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar[str] = "ORGANIZATION_EXISTS"

    def __init__(self) -> None:
        super().__init__("the organization exists and is another one")
