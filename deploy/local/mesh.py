"""The whole local platform: which components there are, and starting and stopping them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Final, Self

from deploy.local.component import Component
from deploy.local.connector import Connector, connectors
from deploy.local.edge import Edge
from deploy.local.failures import BadSetting
from deploy.local.layout import Layout
from deploy.local.nats import Nats
from deploy.local.parts import Parts
from deploy.local.ports import Ports, gateway_port
from deploy.local.postgres import Postgres
from deploy.local.processes import forget_identity, write_identity
from deploy.local.region import Region
from deploy.local.seaweedfs import SeaweedFS
from deploy.local.secret_files import SecretFiles, ensure_secrets
from deploy.local.status import SUPERVISOR, PlatformStatus, lock, own_identity
from deploy.local.supervisor import Observer, Supervisor

DEFAULT_REGION: Final = "us-east"
REGION_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]")
REGIONS_MAX: Final = 8
# A region runs models that others made, so it gets no way to the database, the bus or user tokens.
REGION_SETTINGS: Final = (
    *("REELMESH_LOG_LEVEL", "REELMESH_INFERENCE_ADDRESS", "REELMESH_S3_ENDPOINT"),
    *("REELMESH_S3_REGION", "REELMESH_S3_BUCKET", "REELMESH_S3_ACCESS_KEY_FILE"),
    "REELMESH_S3_SECRET_KEY_FILE",
)


class LocalMesh:
    """Runs every component from `start` to leaving; holds the data folder all that time."""

    def __init__(self, layout: Layout, regions: Sequence[str], observer: Observer) -> None:
        for name in regions:
            if not REGION_NAME.fullmatch(name):
                raise BadSetting(
                    f"'{name}' is no name for a region. Use 2 to 32 lower-case letters, digits "
                    "and dashes, such as us-east."
                )
        if not 1 <= len(set(regions)) == len(regions) <= REGIONS_MAX:
            raise BadSetting(f"Name 1 to {REGIONS_MAX} different regions, such as us-east,eu-west.")
        self.layout = layout
        self._region_names = tuple(regions)
        self._observer = observer
        self._lock: IO[str] | None = None
        self._supervisor: Supervisor | None = None
        self._regions: list[Region] = []
        self.status = PlatformStatus("")

    async def __aenter__(self) -> Self:
        self.layout.prepare()
        self._lock = lock(self.layout)
        identity = own_identity(self.layout)
        write_identity(self.layout.pids, identity)
        self.status.supervisor_pid = identity.pid
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._lock is not None
        try:
            if self._supervisor is not None:
                await self._supervisor.stop()
                await asyncio.to_thread(self._tidy)
        finally:
            forget_identity(self.layout.pids, SUPERVISOR)
            self._lock.close()

    async def start(self) -> None:
        """Start everything and return when all is ready.

        Raises:
            LocalFailure: something cannot be started.
        """
        # Before ports are chosen: what an earlier run left behind may hold the gateway's.
        await Supervisor(self.layout, [], self.status, self._observer).stop_stale()
        components = self._components()
        self._supervisor = Supervisor(self.layout, components, self.status, self._observer)
        await self._supervisor.start()

    def _tidy(self) -> None:
        """Leave nothing outside the data folder."""
        for region in self._regions:
            region.keep_logs()
        shutil.rmtree(self.layout.runtime, ignore_errors=True)

    def _components(self) -> list[Component]:
        layout, ports = self.layout, Ports()
        edge_port = gateway_port()
        secrets = ensure_secrets(layout.secrets, self._region_names)
        postgres = Postgres(layout, secrets, ports.one())
        nats = Nats(layout, secrets, ports.one())
        store = SeaweedFS.on(layout, secrets, ports)
        parts = Parts.on(ports)
        edge = Edge(layout, edge_port, ports.one(), parts)
        self._regions = [
            Region.on(name, index, layout, secrets, ports)
            for index, name in enumerate(self._region_names)
        ]
        shared = {
            "REELMESH_DATABASE_URL": postgres.url,
            "REELMESH_DATABASE_PASSWORD_FILE": str(secrets.postgres_password),
            "REELMESH_NATS_URL": nats.url,
            "REELMESH_LOG_LEVEL": os.environ.get("REELMESH_LOG_LEVEL", "INFO"),
            **store.environment(),
            **_trust(secrets),
            **parts.addresses(),
        }
        through = connectors(self._region_names, secrets, ports, nats, postgres)
        bridges = {one.name: one.component(shared) for one in through.values()}
        known = {name: shared[name] for name in REGION_SETTINGS}
        self._describe(edge.url, {"postgres": postgres.url, "s3": store.endpoint})
        return [
            *(postgres.component(), store.component(), nats.component()),
            *parts.components(shared, secrets, layout.mail),
            edge.component(),
            *bridges.values(),
            *(r.head() for r in self._regions),
            *(_agent(r, known, through.get(r.name)) for r in self._regions),
        ]

    def _describe(self, gateway_url: str, endpoints: dict[str, str]) -> None:
        self.status.gateway_url = gateway_url
        self.status.endpoints = endpoints
        self.status.regions = [
            {
                "name": region.name,
                "processes": list(region.processes),
                "ray_address": region.ray_address,
                "dashboard_url": region.dashboard_url,
            }
            for region in self._regions
        ]


def _agent(region: Region, known: dict[str, str], through: Connector | None) -> Component:
    if through is None:
        return region.agent(known)
    return region.agent(known | through.environment(), through.name)


def _trust(secrets: SecretFiles) -> dict[str, str]:
    return {
        "REELMESH_JWKS_FILE": str(secrets.jwks),
        "REELMESH_SERVICE_JWKS_FILE": str(secrets.service_jwks),
        "REELMESH_TOKEN_ISSUER": "https://reelmesh.local",
    }
