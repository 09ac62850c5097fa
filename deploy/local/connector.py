"""How the local regions reach the scheduler: over gRPC, or through a broker and its bridge."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
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
    """One of the platform's own brokers, for the regions that go through it, and its bridge."""

    broker: str
    url: str
    url_file: Path
    port: int

    @property
    def name(self) -> str:
        """Name the process of the bridge."""
        return f"connector-{self.broker}"

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
            name=self.name,
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


def connectors(
    regions: Sequence[str], secrets: SecretFiles, ports: Ports, nats: Nats, postgres: Postgres
) -> dict[str, Connector]:
    """Give the connector of each region that goes through a broker; the others dial by gRPC.

    REELMESH_CONNECTOR is a broker for all regions, or one for each: `us-east=grpc,eu-west=nats`.

    Raises:
        BadSetting: there is no such connector on one machine, or no such region.
    """
    chosen = _brokers(os.environ.get(VARIABLE) or GRPC, regions)
    urls = {"nats": nats.url, "postgres": postgres.url_with_password}
    made = {
        broker: Connector(
            broker, urls[broker], secrets.folder / f"connector_{broker}_url", ports.one()
        )
        for broker in sorted(set(chosen.values()) - {GRPC})
    }
    return {region: made[broker] for region, broker in chosen.items() if broker != GRPC}


def _brokers(text: str, regions: Sequence[str]) -> dict[str, str]:
    chosen = dict.fromkeys(regions, GRPC)
    for word in filter(None, map(str.strip, text.split(","))):
        region, is_for_one, broker = word.rpartition("=")
        if broker not in CHOICES:
            raise BadSetting(f"{VARIABLE} says '{broker}'; it must be {', '.join(CHOICES)}.")
        if is_for_one and region not in chosen:
            raise BadSetting(
                f"{VARIABLE} names the region '{region}'; there are {', '.join(regions)}."
            )
        chosen |= {region: broker} if is_for_one else dict.fromkeys(regions, broker)
    return chosen
