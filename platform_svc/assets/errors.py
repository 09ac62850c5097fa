"""Every way an assets call may refuse, with the status a caller sees."""

from __future__ import annotations

import uuid
from typing import ClassVar

import grpc

from meshkit.errors import ServiceError
from meshkit.ids import format_id


class AssetNotFound(ServiceError):
    """The organization has no asset with this id, or has no longer."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "ASSET_NOT_FOUND"

    def __init__(self, asset_id: uuid.UUID) -> None:
        super().__init__("there is no such asset", asset_id=format_id("ast", asset_id))


class AssetNotReady(ServiceError):
    """The asset's bytes are not there yet, or were refused."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "ASSET_NOT_READY"

    def __init__(self, asset_id: uuid.UUID, *, state: str) -> None:
        super().__init__(f"the asset is {state}", asset_id=format_id("ast", asset_id), state=state)


class AssetIdReused(ServiceError):
    """The asset id already names another asset."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar[str] = "ASSET_ID_REUSED"

    def __init__(self, asset_id: uuid.UUID) -> None:
        super().__init__("the asset id names another asset", asset_id=format_id("ast", asset_id))


class UnsupportedContentType(ServiceError):
    """Assets of this content type are not taken."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "UNSUPPORTED_CONTENT_TYPE"

    def __init__(self, content_type: str, *, supported: str) -> None:
        super().__init__(
            f"assets must be one of {supported}", content_type=content_type, supported=supported
        )


class UploadMissing(ServiceError):
    """No bytes were uploaded for the asset."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "UPLOAD_MISSING"

    def __init__(self, asset_id: uuid.UUID) -> None:
        super().__init__("no bytes were uploaded", asset_id=format_id("ast", asset_id))


class UploadRejected(ServiceError):
    """The uploaded bytes are not what was announced; `detail` says in which way."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "UPLOAD_REJECTED"

    def __init__(self, asset_id: uuid.UUID, *, detail: str) -> None:
        super().__init__(
            "the uploaded bytes are not what was announced",
            asset_id=format_id("ast", asset_id),
            detail=detail,
        )
