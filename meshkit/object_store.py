"""Keeps objects in any store that speaks S3."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import urllib.parse
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Protocol, Self, TypeVar

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from meshkit.config import Environment
from meshkit.errors import Unavailable

T = TypeVar("T")

CONCURRENCY: Final = 16
CHUNK_BYTES: Final = 1 << 20
LIST_PAGE_MAX: Final = 1000
# What SigV4 allows (AWS Signature Version 4, query parameter X-Amz-Expires).
PRESIGN_MAX: Final = timedelta(days=7)
MISSING_CODES: Final = frozenset({"NoSuchKey", "NotFound"})
MULTIPART_MISSING_CODE: Final = "NoSuchUpload"
# An answer to HEAD has no body that could name the key.
BARE_MISSING: Final = ("HeadObject", "404")
BUCKET_EXISTS_CODES: Final = frozenset({"BucketAlreadyExists", "BucketAlreadyOwnedByYou"})


class ObjectMissing(Exception):
    """There is no object under the key."""


class ObjectTooLarge(Exception):
    """The object has more bytes than the caller takes."""


class MultipartMissing(Exception):
    """There is no such multipart upload, or no longer."""


class StoreUnavailable(Unavailable):
    """The object store cannot be reached or fails; the same call may work later."""

    reason: ClassVar[str] = "OBJECT_STORE_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where the store is and how to sign; `public_endpoint` is what clients outside reach."""

    endpoint: str
    region: str
    bucket: str
    access_key: str
    secret_key: str
    public_endpoint: str | None = None
    addressing_style: str = "path"

    @classmethod
    def from_environment(cls, environment: Environment) -> S3Settings:
        """Read the REELMESH_S3_* settings."""
        return cls(
            endpoint=environment.text("REELMESH_S3_ENDPOINT"),
            region=environment.text("REELMESH_S3_REGION", default="us-east-1"),
            bucket=environment.text("REELMESH_S3_BUCKET"),
            access_key=environment.secret_file("REELMESH_S3_ACCESS_KEY_FILE"),
            secret_key=environment.secret_file("REELMESH_S3_SECRET_KEY_FILE"),
            public_endpoint=environment.text("REELMESH_S3_PUBLIC_ENDPOINT", default="") or None,
            addressing_style=environment.choice(
                "REELMESH_S3_ADDRESSING_STYLE", choices=("path", "virtual"), default="path"
            ),
        )


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store knows of an object without its bytes; a listing leaves the type empty."""

    key: str
    size_bytes: int
    content_type: str
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Digest:
    """The length and SHA-256 (lower-case hexadecimal) of the bytes that were read."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PresignedPut:
    """An upload that a client makes itself: it must send these headers and as many bytes."""

    url: str
    headers: dict[str, str]


class ObjectStore(Protocol):
    """What services need of a store. Keys are ASCII; correctness never rests on the store."""

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Write an object, replacing what was there."""

    async def get(self, key: str, *, max_bytes: int) -> bytes:
        """Read an object. Raises ObjectMissing or ObjectTooLarge."""

    async def download(self, key: str, target: Path, *, max_bytes: int) -> Digest:
        """Read an object into a file, hashing as it comes. Raises as `get` does."""

    async def put_file(self, key: str, source: Path, *, content_type: str) -> None:
        """Write the bytes of a file as an object, replacing what was there."""

    async def head(self, key: str) -> ObjectInfo | None:
        """Describe an object, or give None if there is none."""

    async def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is fine."""

    def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Give the objects whose keys begin with the prefix, in the order of their keys."""

    async def presign_put(
        self, key: str, *, content_type: str, size_bytes: int, sha256: str, expires: timedelta
    ) -> PresignedPut:
        """Sign an upload of exactly these bytes, given as hexadecimal SHA-256."""

    async def presign_get(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        expires: timedelta,
        inline: bool = False,
    ) -> str:
        """Sign a download under the file name; `inline` lets a browser show it."""


class S3ObjectStore:
    """An ObjectStore over boto3, run in a bounded pool of threads; an async context manager."""

    def __init__(self, settings: S3Settings, *, concurrency: int = CONCURRENCY) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._client = _client(settings, settings.endpoint, concurrency)
        # Signatures cover the host, so URLs for outside need a client of the outer address.
        self._signer = _client(settings, settings.public_endpoint or settings.endpoint, concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="object-store")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._client.close()
        self._signer.close()

    async def ensure_bucket(self) -> None:
        """Make the bucket if it is absent."""

        def create() -> None:
            try:
                self._client.create_bucket(Bucket=self._bucket)
            except ClientError as error:
                if _code(error) not in BUCKET_EXISTS_CODES:
                    raise

        await self._run(create)

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Write an object, replacing what was there."""
        await self._run(
            lambda: self._client.put_object(
                Bucket=self._bucket, Key=key, Body=data, ContentType=content_type
            )
        )

    async def get(self, key: str, *, max_bytes: int) -> bytes:
        """Read an object. Raises ObjectMissing or ObjectTooLarge."""

        def read() -> bytes:
            chunks: list[bytes] = []
            self._read(key, max_bytes, chunks.append)
            return b"".join(chunks)

        return await self._run(read)

    async def download(self, key: str, target: Path, *, max_bytes: int) -> Digest:
        """Read an object into a file, hashing as it comes. Raises as `get` does."""

        def read() -> Digest:
            digest = hashlib.sha256()
            size_bytes = 0
            with target.open("wb") as file:

                def take(chunk: bytes) -> None:
                    nonlocal size_bytes
                    size_bytes += len(chunk)
                    digest.update(chunk)
                    file.write(chunk)

                self._read(key, max_bytes, take)
            return Digest(size_bytes, digest.hexdigest())

        return await self._run(read)

    async def put_file(self, key: str, source: Path, *, content_type: str) -> None:
        """Write the bytes of a file of up to 5 GiB as an object, replacing what was there."""

        def write() -> None:
            with source.open("rb") as body:
                self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=body, ContentType=content_type
                )

        await self._run(write)

    async def head(self, key: str) -> ObjectInfo | None:
        """Describe an object, or give None if there is none."""

        def describe() -> ObjectInfo:
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
            return ObjectInfo(
                key=key,
                size_bytes=answer["ContentLength"],
                content_type=answer.get("ContentType", ""),
                etag=answer["ETag"].strip('"'),
                modified_at=answer["LastModified"],
            )

        try:
            return await self._run(describe)
        except ObjectMissing:
            return None

    async def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is fine."""
        await self._run(lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Give the objects whose keys begin with the prefix, in the order of their keys."""
        page: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix, "MaxKeys": LIST_PAGE_MAX}
        while True:
            answer = await self._run(lambda: self._client.list_objects_v2(**page))
            for item in answer.get("Contents", ()):
                yield ObjectInfo(
                    key=item["Key"],
                    size_bytes=item["Size"],
                    content_type="",
                    etag=item["ETag"].strip('"'),
                    modified_at=item["LastModified"],
                )
            if not answer.get("IsTruncated"):
                return
            page["ContinuationToken"] = answer["NextContinuationToken"]

    async def presign_put(
        self, key: str, *, content_type: str, size_bytes: int, sha256: str, expires: timedelta
    ) -> PresignedPut:
        """Sign an upload of exactly these bytes, given as hexadecimal SHA-256.

        The length is signed too; it is not among the headers because every HTTP client sends it
        by itself and browsers forbid setting it.
        """
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        url = await self.sign(
            "put_object",
            expires,
            Key=key,
            ContentType=content_type,
            ContentLength=size_bytes,
            ChecksumSHA256=checksum,
        )
        return PresignedPut(
            url=url,
            headers={"content-type": content_type, "x-amz-checksum-sha256": checksum},
        )

    async def presign_get(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        expires: timedelta,
        inline: bool = False,
    ) -> str:
        """Sign a download under the file name; `inline` lets a browser show it."""
        return await self.sign(
            "get_object",
            expires,
            Key=key,
            ResponseContentDisposition=disposition(filename, inline=inline),
            ResponseContentType=content_type,
        )

    async def call(self, work: Callable[[Any, str], T]) -> T:
        """Do what this class has no method for, given the client and the bucket's name.

        Raises as the methods do.
        """
        return await self._run(lambda: work(self._client, self._bucket))

    async def sign(self, operation: str, expires: timedelta, **parameters: object) -> str:
        """Sign one operation on the bucket as a URL for outside."""
        assert timedelta(seconds=1) <= expires <= PRESIGN_MAX, "signatures live up to 7 days"

        def sign() -> str:
            return str(
                self._signer.generate_presigned_url(
                    operation,
                    Params={"Bucket": self._bucket, **parameters},
                    ExpiresIn=int(expires.total_seconds()),
                )
            )

        return await self._run(sign)

    def _read(self, key: str, max_bytes: int, take: Callable[[bytes], object]) -> None:
        body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        try:
            size_bytes = 0
            # What arrives is counted: the length that the store states is only its word.
            for chunk in body.iter_chunks(CHUNK_BYTES):
                size_bytes += len(chunk)
                if size_bytes > max_bytes:
                    raise ObjectTooLarge(f"{key} has more than {max_bytes} bytes")
                take(chunk)
        finally:
            body.close()

    async def _run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, work)
        except ClientError as error:
            if _says_missing(error):
                raise ObjectMissing("there is no object under this key") from error
            if _code(error) == MULTIPART_MISSING_CODE:
                raise MultipartMissing("there is no such multipart upload") from error
            raise StoreUnavailable("the object store refused the request") from error
        except BotoCoreError as error:
            raise StoreUnavailable("the object store cannot be reached") from error


def disposition(filename: str, *, inline: bool) -> str:
    """Give the Content-Disposition for a file name of any characters (RFC 6266, RFC 8187)."""
    kind = "inline" if inline else "attachment"
    plain = "".join(
        character
        if character.isascii() and character.isprintable() and character not in '"\\'
        else "_"
        for character in filename
    )
    encoded = urllib.parse.quote(filename, safe="")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def _client(settings: S3Settings, endpoint: str, concurrency: int) -> Any:
    # Both checksum settings matter: with the defaults uploads go out in chunks with trailers,
    # which several stores refuse.
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": settings.addressing_style},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "max_attempts": 4},
        connect_timeout=3,
        read_timeout=30,
        max_pool_connections=concurrency,
        tcp_keepalive=True,
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        config=config,
    )


def _says_missing(error: ClientError) -> bool:
    # A bare 404 may also come from what stands before the store, while that is away.
    code = _code(error)
    return code in MISSING_CODES or (error.operation_name, code) == BARE_MISSING


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
