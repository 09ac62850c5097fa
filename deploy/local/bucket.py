"""The two S3 requests that tell whether an object store works: make a bucket, put an object.

Signed by hand (AWS Signature Version 4), because importing an S3 client costs the supervisor a
second and 60 MB.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import httpx

from deploy.local.component import NotReady
from meshkit.clock import utc_now

REGION: Final = "us-east-1"
PROBE_KEY: Final = ".ready"
TIMEOUT_SECONDS: Final = 2
CONFLICT: Final = 409  # The bucket is ours already.


@dataclass(frozen=True)
class BucketProbe:
    """One bucket of one store."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str

    async def run(self) -> None:
        """Make the bucket and write an object into it; both may be there already.

        Raises:
            NotReady: the store does not take them yet.
        """
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            made = await self._put(client, f"/{self.bucket}", b"")
            if made.is_error and made.status_code != CONFLICT:
                raise NotReady(f"the bucket was refused with status {made.status_code}")
            written = await self._put(client, f"/{self.bucket}/{PROBE_KEY}", b"ready")
            if written.is_error:
                raise NotReady(f"an object was refused with status {written.status_code}")

    async def _put(self, client: httpx.AsyncClient, path: str, body: bytes) -> httpx.Response:
        headers = self._headers(path, body, utc_now())
        try:
            return await client.put(f"{self.endpoint}{path}", content=body, headers=headers)
        except httpx.HTTPError as error:
            raise NotReady(f"no answer: {type(error).__name__}") from error

    def _headers(self, path: str, body: bytes, now: datetime) -> dict[str, str]:
        day, time = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
        signed = {
            "host": urlsplit(self.endpoint).netloc,
            "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
            "x-amz-date": time,
        }
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        request = f"PUT\n{path}\n\n{lines}\n{names}\n{signed['x-amz-content-sha256']}"
        scope = f"{day}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, REGION, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        return signed | {
            "authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        }
