"""Uploads of large files in parts, for the commands and the journeys."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final

import httpx

from deploy.client import TIMEOUT_SECONDS, ApiError, Document, ReelmeshClient

AT_ONCE: Final = 4


async def begin_parts(
    client: ReelmeshClient, data: bytes, filename: str, content_type: str
) -> Document:
    """Reserve an asset that comes in parts and give the answer."""
    return await client.call(
        "POST",
        "/v1/assets",
        {
            "filename": filename,
            "content_type": content_type,
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "multipart": True,
        },
    )


async def missing_parts(client: ReelmeshClient, asset_id: str) -> list[int]:
    """Give the numbers of the parts that have not arrived."""
    answer = await client.call("GET", f"/v1/assets/{asset_id}/parts")
    there = {part["part_number"] for part in answer["parts"]}
    numbers = range(1, answer["parts_plan"]["part_count"] + 1)
    return [number for number in numbers if number not in there]


async def send_parts(
    client: ReelmeshClient, begun: Document, data: bytes, numbers: Sequence[int]
) -> None:
    """Send these parts of a file straight to the store, some at once.

    Raises:
        ApiError: the store refused one.
    """
    asset_id, size = begun["asset"]["asset_id"], begun["parts_plan"]["part_size_bytes"]
    path = f"/v1/assets/{asset_id}:presign-parts"
    parts = (await client.call("POST", path, {"part_numbers": list(numbers)}))["parts"]
    slots = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as store:

        async def send(part: Document) -> None:
            start = (part["part_number"] - 1) * size
            body = data[start : start + part["size_bytes"]]
            upload = part["upload"]
            async with slots:
                answer = await store.request(upload["method"], upload["url"], content=body)
            if answer.is_error:
                raise ApiError(answer.status_code, {"message": "the object store refused a part"})

        await asyncio.gather(*map(send, parts))


async def upload_in_parts(
    client: ReelmeshClient, data: bytes, filename: str, content_type: str
) -> Document:
    """Upload a file in parts and give the asset when it is ready."""
    begun = await begin_parts(client, data, filename, content_type)
    count = begun["parts_plan"]["part_count"]
    await send_parts(client, begun, data, range(1, count + 1))
    return await client.call("POST", f"/v1/assets/{begun['asset']['asset_id']}:complete", {})
