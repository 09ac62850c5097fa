"""One region: a Ray cluster of its own and the agent that brings it work."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from deploy.local.component import Component, NotReady, program, version_of
from deploy.local.layout import Layout
from deploy.local.parts import PYTHON
from deploy.local.ports import Ports
from deploy.local.secret_files import SecretFiles

OBJECT_STORE_BYTES: Final = 80_000_000
WORKER_PORTS: Final = 40
CPUS_MIN: Final = 2
HEALTH_SECONDS: Final = 5
DETAIL_CHARACTERS_MAX: Final = 200
# Ray gives its own processes fixed times to start, which a machine that is busy may need twice.
HEAD_STARTS_MAX: Final = 6
# By then the agent has drained; Ray itself would wait half a minute for nothing.
HEAD_GRACE_SECONDS: Final = 2.0
AGENT_GRACE_SECONDS: Final = 10.0
# Loading torch and the model on two busy cores.
AGENT_READY_SECONDS: Final = 240.0
LISTENERS: Final = (
    *("port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port"),
    *("runtime-env-agent-port", "ray-client-server-port", "node-manager-port"),
    *("object-manager-port", "metrics-export-port"),
)
# Ray runs any code that is sent to it and listens on all interfaces, so callers need a token.
SHARED: Final = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True)
class Region:
    """One Ray cluster with its agent; `index` sets it apart from others of this platform."""

    name: str
    index: int
    layout: Layout
    secrets: SecretFiles
    ports: Mapping[str, int]  # By the names in LISTENERS.
    worker_ports: range
    metrics_port: int

    @classmethod
    def on(
        cls, name: str, index: int, layout: Layout, secrets: SecretFiles, ports: Ports
    ) -> Region:
        """Give a region on free ports."""
        chosen = {listener: ports.one() for listener in LISTENERS}
        return cls(name, index, layout, secrets, chosen, ports.block(WORKER_PORTS), ports.one())

    @property
    def node_ip(self) -> str:
        """Give the address of its own that keeps this cluster apart from others."""
        # Only Linux answers on all of 127.0.0.0/8; 127.0.0.1 Ray rewrites.
        return f"127.0.0.{2 + self.index}" if sys.platform == "linux" else "127.0.0.1"

    @property
    def ray_address(self) -> str:
        """Give where drivers connect."""
        return f"{self.node_ip}:{self.ports['port']}"

    @property
    def dashboard_url(self) -> str:
        """Give where `ray job submit` connects."""
        return f"http://127.0.0.1:{self.ports['dashboard-port']}"

    @property
    def processes(self) -> tuple[str, str]:
        """Give the names of the head and of the agent."""
        return (f"region-{self.name}-head", f"region-{self.name}-agent")

    def environment(self) -> dict[str, str]:
        """Give the settings of those who talk to the cluster."""
        return SHARED | {"RAY_AUTH_TOKEN_PATH": str(self.secrets.ray_token)}

    @property
    def _folder(self) -> Path:
        # A short name: Ray puts sockets below it.
        return self.layout.runtime / f"r{self.index}"

    def keep_logs(self) -> None:
        """Copy the logs of Ray's own processes and of the replicas beside the other logs."""
        target = self.layout.logs / f"region-{self.name}-ray"
        shutil.rmtree(target, ignore_errors=True)
        with suppress(OSError):  # There is no session yet, or the disk is full.
            shutil.copytree(self._folder / "session_latest" / "logs", target)

    def head(self) -> Component:
        """Describe the Ray head."""
        folder = self._folder

        async def prepare() -> None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            folder.mkdir(mode=0o700)

        return Component(
            name=self.processes[0],
            version=version_of("ray"),
            port=self.ports["port"],
            command=(
                *(program("ray"), "start", "--head", "--block", "--disable-usage-stats"),
                f"--node-ip-address={self.node_ip}",
                *(f"--{listener}={port}" for listener, port in self.ports.items()),
                f"--min-worker-port={self.worker_ports.start}",
                f"--max-worker-port={self.worker_ports.stop - 1}",
                *("--dashboard-host=127.0.0.1", f"--temp-dir={folder}", "--no-monitor"),
                *(f"--object-store-memory={OBJECT_STORE_BYTES}", "--include-log-monitor=false"),
                f"--num-cpus={max(CPUS_MIN, os.cpu_count() or CPUS_MIN)}",
            ),
            environment={**self.environment(), "RAY_enable_worker_prestart": "0"},
            check=self._check_head,
            prepare=prepare,
            grace_seconds=HEAD_GRACE_SECONDS,
            first_starts_max=HEAD_STARTS_MAX,
        )

    def agent(self, shared: Mapping[str, str], connector: str | None = None) -> Component:
        """Describe the agent; `shared` are what it may know of the platform's settings.

        `connector` is the process that the region's calls go through, if any.
        """
        return Component(
            name=self.processes[1],
            version=version_of("reelmesh"),
            port=self.metrics_port,
            command=(sys.executable, "-m", "inference.regions.agent"),
            environment={
                **shared,
                **self.environment(),
                **PYTHON,
                "REELMESH_REGION": self.name,
                "REELMESH_RAY_ADDRESS": self.ray_address,
                "REELMESH_SERVICE_KEY_FILE": str(self.secrets.service_key(f"region:{self.name}")),
                "REELMESH_METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}",
                "REELMESH_MODELS_DIR": str(self.layout.data / "models"),
                "REELMESH_DEVICE": os.environ.get("REELMESH_DEVICE", "cpu"),
            },
            check=self._check_agent,
            needs=(self.processes[0], connector or "scheduler", "seaweedfs"),
            # A driver cannot go on with another cluster than the one that it joined.
            follows=(self.processes[0],),
            grace_seconds=AGENT_GRACE_SECONDS,
            ready_seconds=AGENT_READY_SECONDS,
        )

    async def _check_head(self) -> None:
        token = self.secrets.ray_token.read_text()
        headers = {"authorization": f"Bearer {token}"}
        agent = f"http://{self.node_ip}:{self.ports['dashboard-agent-listen-port']}"
        await demand_ok(f"{self.dashboard_url}/api/gcs_healthz", headers)
        await demand_ok(f"{agent}/api/local_raylet_healthz", headers)

    async def _check_agent(self) -> None:
        await demand_ok(f"http://127.0.0.1:{self.metrics_port}/healthz", {})


async def demand_ok(url: str, headers: Mapping[str, str]) -> None:
    """Demand that a GET is answered with success."""
    async with httpx.AsyncClient(timeout=HEALTH_SECONDS, trust_env=False) as client:
        try:
            answer = await client.get(url, headers=headers)
        except httpx.HTTPError as error:
            raise NotReady(f"no answer: {type(error).__name__}") from error
    if answer.is_error:
        why = answer.text.strip()[:DETAIL_CHARACTERS_MAX] or f"status {answer.status_code}"
        raise NotReady(f"it answers: {why}")
