"""A SeaweedFS of the tests' own, with its S3 gateway."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from meshkit.object_store import S3ObjectStore, S3Settings, StoreUnavailable
from meshkit.testing import processes

START_SECONDS_MAX: Final = 60
POLL_SECONDS: Final = 0.1
ACCESS_KEY: Final = "test-access-key"
SECRET_KEY: Final = "test-secret-key"  # noqa: S105 - opens nothing but this server.
PORTS: Final = ("master", "volume", "filer", "s3")


class SeaweedServer:
    """A master, a volume server, a filer and an S3 gateway in one process."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reelmesh-s3-"))
        self._ports = processes.free_ports(2 * len(PORTS))
        self._process: subprocess.Popen[bytes] | None = None
        self.settings = S3Settings(
            endpoint=f"http://127.0.0.1:{self._ports[PORTS.index('s3')]}",
            region="us-east-1",
            bucket="reelmesh-test",
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
        )

    async def start(self) -> None:
        """Start and wait until a bucket can be made: before that, writes are refused."""
        identities = self.folder / "identities.json"
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        admin = {"name": "admin", "credentials": credentials, "actions": ["Admin"]}
        identities.write_text(json.dumps({"identities": [admin]}))
        data = self.folder / "data"
        data.mkdir()
        self._process = processes.start(
            [processes.binary("weed"), *self._arguments(data, identities)], self.folder / "log"
        )
        async with S3ObjectStore(self.settings) as store, asyncio.timeout(START_SECONDS_MAX):
            while not await _accepts(store):
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text())
                await asyncio.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop and delete the data."""
        if self._process is not None:
            self._process.kill()  # A polite stop waits ten seconds for nothing that we keep.
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _arguments(self, data: Path, identities: Path) -> list[str]:
        ports = [
            f"-{name}.port{suffix}={port}"
            for (name, suffix), port in zip(
                ((name, suffix) for suffix in ("", ".grpc") for name in PORTS),
                self._ports,
                strict=True,
            )
        ]
        return [
            "server",
            "-s3",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *ports,
            f"-s3.config={identities}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.localSocket={self.folder}/s3.sock",
            f"-filer.localSocket={self.folder}/filer.sock",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=32",
            "-volume.preStopSeconds=0",
        ]


async def _accepts(store: S3ObjectStore) -> bool:
    try:
        await store.ensure_bucket()
        await store.put("ready", b"", content_type="text/plain")
        await store.delete("ready")
    except StoreUnavailable:
        return False
    return True
