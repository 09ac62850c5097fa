"""Every way an assets call may refuse, with the status a caller sees."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import ClassVar, Final

import grpc

from meshkit.errors import ServiceError
from meshkit.ids import format_id

MISSING_NAMED_MAX: Final = 10


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


class UploadIncomplete(ServiceError):
    """Some parts of the upload have not arrived, or not in full."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "UPLOAD_INCOMPLETE"

    def __init__(self, asset_id: uuid.UUID, missing: Sequence[int]) -> None:
        super().__init__(
            "some parts have not arrived",
            asset_id=format_id("ast", asset_id),
            missing=", ".join(map(str, missing[:MISSING_NAMED_MAX])),
            missing_count=str(len(missing)),
        )


class UploadOver(ServiceError):
    """The upload was completed, or has ended."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "UPLOAD_OVER"

    def __init__(self, asset_id: uuid.UUID, *, state: str) -> None:
        super().__init__("the upload is over", asset_id=format_id("ast", asset_id), state=state)


class UploadNotInParts(ServiceError):
    """The asset was created without `multipart`."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "UPLOAD_NOT_IN_PARTS"

    def __init__(self, asset_id: uuid.UUID) -> None:
        super().__init__("the upload has no parts", asset_id=format_id("ast", asset_id))


class StorageQuotaExceeded(ServiceError):
    """The organization may not store as much, or as many files."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar[str] = "STORAGE_QUOTA_EXCEEDED"

    def __init__(
        self, *, used_bytes: int, bytes_max: int, assets_count: int, assets_max: int
    ) -> None:
        super().__init__(
            "the organization has no room for this file",
            used_bytes=str(used_bytes),
            bytes_max=str(bytes_max),
            assets_count=str(assets_count),
            assets_max=str(assets_max),
        )


class AssetNotInTrash(ServiceError):
    """Only what lies in the trash can be removed for good."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "ASSET_NOT_IN_TRASH"

    def __init__(self, asset_id: uuid.UUID, *, state: str) -> None:
        super().__init__(
            "the asset is not in the trash", asset_id=format_id("ast", asset_id), state=state
        )


class ShareLinkNotFound(ServiceError):
    """There is no such link, or it was revoked, has expired, or its asset is not there."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "SHARE_LINK_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("there is no such link, or it is over")


class ShareLinkUsedUp(ServiceError):
    """The link was downloaded as often as it may be."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "SHARE_LINK_USED_UP"

    def __init__(self, downloads_max: int) -> None:
        super().__init__(
            "the link was downloaded as often as it may be", downloads_max=str(downloads_max)
        )


class TooManyShareLinks(ServiceError):
    """The asset has as many links as it may have."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar[str] = "TOO_MANY_SHARE_LINKS"

    def __init__(self, share_links_max: int) -> None:
        super().__init__(
            f"an asset has {share_links_max} links at most; revoke one",
            share_links_max=str(share_links_max),
        )


class ReconciliationRunning(ServiceError):
    """The store is being compared with the rows already."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ABORTED
    reason: ClassVar[str] = "RECONCILIATION_RUNNING"

    def __init__(self) -> None:
        super().__init__("the store is being compared already; ask again later")
