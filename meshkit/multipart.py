"""Uploads of large objects in parts, which clients send by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from meshkit.object_store import (
    LIST_PAGE_MAX,
    MultipartMissing,
    ObjectMissing,
    PresignedPut,
    S3ObjectStore,
)

# What S3 asks for (Amazon S3 multipart upload limits): all parts but the last have 5 MiB or more.
# Some stores also want all but the last to be equally long.
PART_BYTES_MIN: Final = 5 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the store has; numbers begin at 1."""

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    begun_at: datetime


class MultipartUploads:
    """Begins, signs, completes and aborts uploads in parts."""

    def __init__(self, store: S3ObjectStore) -> None:
        self._store = store

    async def begin(self, key: str, *, content_type: str) -> str:
        """Begin an upload and give its id; the object is not there until it is completed."""
        answer = await self._store.call(
            lambda client, bucket: client.create_multipart_upload(
                Bucket=bucket, Key=key, ContentType=content_type
            )
        )
        return str(answer["UploadId"])

    async def presign(
        self, key: str, upload_id: str, *, number: int, size_bytes: int, expires: timedelta
    ) -> PresignedPut:
        """Sign the upload of one part of exactly this length."""
        url = await self._store.sign(
            "upload_part",
            expires,
            Key=key,
            UploadId=upload_id,
            PartNumber=number,
            ContentLength=size_bytes,
        )
        return PresignedPut(url=url, headers={})

    async def parts(self, key: str, upload_id: str) -> list[Part]:
        """Give the parts that have arrived, by number.

        Raises:
            MultipartMissing: the upload was completed or aborted, or never began.
        """
        found: list[Part] = []
        page: dict[str, Any] = {"Key": key, "UploadId": upload_id, "MaxParts": LIST_PAGE_MAX}
        while True:
            answer = await self._store.call(
                lambda client, bucket: client.list_parts(Bucket=bucket, **page)
            )
            found += [
                Part(item["PartNumber"], item["Size"], item["ETag"])
                for item in answer.get("Parts", ())
            ]
            if not answer.get("IsTruncated"):
                return found
            page["PartNumberMarker"] = answer["NextPartNumberMarker"]

    async def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Make the object out of its parts; nobody can change it by a part's URL afterwards.

        Raises:
            MultipartMissing: the upload was completed or aborted already.
        """
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        await self._store.call(
            lambda client, bucket: client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}
            )
        )

    async def abort(self, key: str, upload_id: str) -> None:
        """End an upload and drop its parts; one that is over already is fine."""
        try:
            await self._store.call(
                lambda client, bucket: client.abort_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=upload_id
                )
            )
        except (MultipartMissing, ObjectMissing):
            return

    async def unfinished(self, prefix: str) -> AsyncIterator[Unfinished]:
        """Give the uploads under a prefix that were neither completed nor aborted."""
        page: dict[str, Any] = {"Prefix": prefix, "MaxUploads": LIST_PAGE_MAX}
        while True:
            answer = await self._store.call(
                lambda client, bucket: client.list_multipart_uploads(Bucket=bucket, **page)
            )
            for item in answer.get("Uploads", ()):
                yield Unfinished(item["Key"], item["UploadId"], item["Initiated"])
            if not answer.get("IsTruncated"):
                return
            page["KeyMarker"] = answer["NextKeyMarker"]
            page["UploadIdMarker"] = answer["NextUploadIdMarker"]
