"""The agent's health endpoint."""

from __future__ import annotations

import asyncio

from inference.regions.health import health_endpoint


async def get(port: int, target: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


async def test_health_says_what_is_wrong() -> None:
    problems: list[str | None] = ["no replica runs", None]
    async with health_endpoint("127.0.0.1:0", lambda: problems.pop(0)) as port:
        assert port is not None
        assert await get(port, "/healthz") == (503, "no replica runs\n")
        assert await get(port, "/healthz") == (200, "ok\n")


async def test_metrics_and_unknown_paths() -> None:
    async with health_endpoint("127.0.0.1:0", lambda: None) as port:
        assert port is not None
        status, body = await get(port, "/metrics")
        assert status == 200
        assert "reelmesh_region_leases_held" in body or "# HELP" in body
        assert (await get(port, "/"))[0] == 404


async def test_without_an_address_there_is_none() -> None:
    async with health_endpoint(None, lambda: None) as port:
        assert port is None
