"""A real Envoy that runs the generated configuration."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from gateway.envoy import write_edge
from gateway.topology import Address, Endpoint, Topology, Upstream

START_SECONDS = 20
ENVOY = Path(importlib.util.find_spec("envoy").origin).parent / "_bin" / "envoy"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def topology_of(platform_port: int, business_port: int, port: int) -> Topology:
    def upstream(part: str, port: int) -> Upstream:
        return Upstream(part, (Endpoint(Address("127.0.0.1", port)),))

    return Topology(
        listen=Address("127.0.0.1", port),
        # No test calls the third part, whose methods are for operators.
        upstreams=(
            upstream("platform", platform_port),
            upstream("business", business_port),
            upstream("inference", business_port),
        ),
    )


class Edge:
    """A running Envoy."""

    def __init__(self, topology: Topology, folder: Path) -> None:
        self.folder = folder
        self.access_log = folder / "access.log"
        self.topology = replace(topology, access_log=str(self.access_log))
        self.address = f"127.0.0.1:{topology.listen.port}"
        self.url = f"http://{self.address}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        config = write_edge(self.folder, self.topology)
        with (self.folder / "envoy.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(ENVOY, "-c", config, "--concurrency", "1", "--use-dynamic-base-id"),
                *("--log-level", "warning", "--file-flush-interval-msec", "100"),
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until the edge says that all parts are well."""
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while True:
                assert self._process.returncode is None, (self.folder / "envoy.log").read_text()
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/healthz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)  # Another process: there is nothing to wait on.

    async def logged(self, text: str) -> str:
        """Return the access log once it has the text; Envoy writes it in its own time."""
        async with asyncio.timeout(15):
            while True:
                log = self.access_log.read_text()
                if text in log:
                    return log
                await asyncio.sleep(0.05)  # Another process: there is nothing to wait on.

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


@asynccontextmanager
async def running(edge: Edge) -> AsyncIterator[Edge]:
    await edge.start()
    try:
        yield edge
    finally:
        await edge.stop()
