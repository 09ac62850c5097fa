"""What the client makes of answers that no healthy store gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshkit.object_store import ObjectMissing, S3ObjectStore, S3Settings, StoreUnavailable

PROXY = b"no such backend"
MISSING = b"<Error><Code>NoSuchKey</Code></Error>"


def answer(status: str, body: bytes, *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def store_that_says(answer: bytes) -> AsyncIterator[S3ObjectStore]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = S3Settings(f"http://127.0.0.1:{port}", "us-east-1", "b", "key", "secret")
        async with S3ObjectStore(settings) as store:
            yield store


def get(store: S3ObjectStore, folder: Path) -> Awaitable[object]:
    return store.get("a", max_bytes=100)


def download(store: S3ObjectStore, folder: Path) -> Awaitable[object]:
    return store.download("a", folder / "a", max_bytes=100)


reads = pytest.mark.parametrize("read", [get, download])
Read = Callable[[S3ObjectStore, Path], Awaitable[object]]


@reads
async def test_only_the_stores_own_word_makes_an_object_missing(read: Read, tmp_path: Path) -> None:
    async with store_that_says(answer("404 Not Found", MISSING)) as store:
        with pytest.raises(ObjectMissing):
            await read(store, tmp_path)
    async with store_that_says(answer("404 Not Found", PROXY)) as store:
        with pytest.raises(StoreUnavailable):
            await read(store, tmp_path)


@reads
async def test_an_answer_that_breaks_off_is_no_shorter_object(read: Read, tmp_path: Path) -> None:
    async with store_that_says(answer("200 OK", b"half", length=8)) as store:
        with pytest.raises(StoreUnavailable):
            await read(store, tmp_path)
