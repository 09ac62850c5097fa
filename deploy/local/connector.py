"""How the local regions reach the scheduler: over gRPC, or through a broker and its bridge."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local.component import Component, version_of
from deploy.local.failures import BadSetting
from deploy.local.nats import Nats
from deploy.local.parts import PYTHON
from deploy.local.ports import Ports
from deploy.local.postgres import Postgres
from deploy.local.region import demand_ok
from deploy.local.secret_files import SecretFiles, write_private

VARIABLE: Final = "REELMESH_CONNECTOR"
GRPC: Final = "grpc"
CHOICES: Final = (GRPC, "nats", "postgres")
# A bridge has no key and stores nothing; it needs to know no more.
SETTINGS: Final = ("REELMESH_LOG_LEVEL", "REELMESH_INFERENCE_ADDRESS")
GRACE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Connector:
    """The platform's own broker that the regions go through; none for gRPC."""

    broker: str
    url: str
    url_file: Path
    port: int

    @classmethod
    def chosen(
        cls, secrets: SecretFiles, ports: Ports, nats: Nats, postgres: Postgres
    ) -> Connector | None:
        """Give the connector that REELMESH_CONNECTOR names, or None for gRPC.

        Raises:
            BadSetting: there is no such connector on one machine.
        """
        broker = os.environ.get(VARIABLE) or GRPC
        if broker not in CHOICES:
            raise BadSetting(f"{VARIABLE} is '{broker}'; it must be {', '.join(CHOICES)}.")
        if broker == GRPC:
            return None
        url = nats.url if broker == "nats" else postgres.url_with_password
        return cls(broker, url, secrets.folder / "connector_url", ports.one())

    def environment(self) -> dict[str, str]:
        """Give the settings of who goes through the broker."""
        return {"REELMESH_CONNECTOR_URL_FILE": str(self.url_file)}

    def component(self, shared: Mapping[str, str]) -> Component:
        """Describe the bridge; `shared` are the settings that all parts have."""

        async def prepare() -> None:
            write_private(self.url_file, self.url)

        async def check() -> None:
            await demand_ok(f"http://127.0.0.1:{self.port}/healthz", {})

        return Component(
            name=f"connector-{self.broker}",
            version=version_of("reelmesh"),
            port=self.port,
            command=(sys.executable, "-m", "inference.connectors"),
            environment={
                **{name: shared[name] for name in SETTINGS},
                **PYTHON,
                **self.environment(),
                "REELMESH_METRICS_LISTEN": f"127.0.0.1:{self.port}",
            },
            check=check,
            prepare=prepare,
            needs=(self.broker, "scheduler"),
            grace_seconds=GRACE_SECONDS,
        )
