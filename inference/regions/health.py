"""Answers `GET /metrics` and `GET /healthz` for a process that serves no gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

REQUEST_SECONDS_MAX: Final = 5.0


@asynccontextmanager
async def health_endpoint(
    listen: str | None, problem: Callable[[], str | None]
) -> AsyncIterator[int | None]:
    """Listen at host:port while open and give the port; with None do nothing.

    `/healthz` answers 200, or 503 with the problem while there is one.
    """
    if listen is None:
        yield None
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head, problem))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # A caller that sends no request gets no answer.
        finally:
            writer.close()

    host, _, port = listen.rpartition(":")
    server = await asyncio.start_server(answer, host, int(port))
    async with server:
        yield server.sockets[0].getsockname()[1]


def _response(head: bytes, problem: Callable[[], str | None]) -> bytes:
    target = head.split(b" ", 2)[1] if head.count(b" ") else b""
    if target == b"/metrics":
        return _http("200 OK", CONTENT_TYPE_LATEST, generate_latest())
    if target == b"/healthz":
        found = problem()
        if found is None:
            return _http("200 OK", "text/plain", b"ok\n")
        return _http("503 Service Unavailable", "text/plain", f"{found}\n".encode())
    return _http("404 Not Found", "text/plain", b"there is /metrics and /healthz\n")


def _http(status: str, content_type: str, body: bytes) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
