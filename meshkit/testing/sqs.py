"""A server of the tests' own that speaks the protocol of Amazon SQS."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from meshkit.testing import processes

START_SECONDS_MAX: Final = 60
POLL_SECONDS: Final = 0.05


class SqsServer:
    """A server in memory: stopping and starting it again loses every queue."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reelmesh-sqs-"))
        self.port = processes.free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address to connect to, with keys that the server does not check."""
        return f"sqs+http://key:secret@127.0.0.1:{self.port}?region=us-east-1"

    async def start(self) -> None:
        """Start and wait until the server accepts connections."""
        self._process = processes.start(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            self.folder / "log",
        )
        async with asyncio.timeout(START_SECONDS_MAX):
            while not await self._answers():
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text())
                await asyncio.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop and lose the data."""
        if self._process is not None:
            processes.stop(self._process)

    def remove(self) -> None:
        """Stop and delete the log."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True
