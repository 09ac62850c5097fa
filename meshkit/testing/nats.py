"""A NATS server of the tests' own, with JetStream on files."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from meshkit.testing import processes

START_SECONDS_MAX: Final = 30
POLL_SECONDS: Final = 0.02


class NatsServer:
    """A server that may be stopped and started again on the same port and data."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reelmesh-nats-"))
        self.port = processes.free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address to connect to."""
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start and wait until the server accepts connections."""
        config = self.folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{self.folder}/data", sync_interval: always }}\n'
        )
        self._process = processes.start(
            [processes.binary("nats-server"), "-c", str(config)], self.folder / "log"
        )
        async with asyncio.timeout(START_SECONDS_MAX):
            while not await self._answers():
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text())
                await asyncio.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop and keep the data."""
        if self._process is not None:
            processes.stop(self._process)

    def remove(self) -> None:
        """Stop and delete the data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        greeting = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return greeting.startswith(b"INFO")
