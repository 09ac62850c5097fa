"""Runs the bridge of one message broker: `python -m inference.connectors`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import grpc

from inference.connectors.bridge import Bridge
from inference.connectors.brokers.opening import open_broker
from inference.connectors.brokers.settings import required_broker_url
from inference.regions.health import health_endpoint
from meshkit import telemetry
from meshkit.config import Environment, InvalidConfiguration
from meshkit.stubs import CHANNEL_OPTIONS

logger = logging.getLogger(__name__)

BAD_CONFIGURATION_STATUS: Final = 2


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """Which broker, which scheduler, and how long calls under way may last at the end."""

    broker_url: str
    scheduler_address: str
    metrics_listen: str | None
    drain_seconds: float
    log_level: str

    @classmethod
    def from_environment(cls, environment: Environment) -> BridgeSettings:
        """Read the settings; problems are reported by the environment."""
        return cls(
            broker_url=required_broker_url(environment, "REELMESH_CONNECTOR_URL_FILE"),
            scheduler_address=environment.text("REELMESH_INFERENCE_ADDRESS"),
            metrics_listen=environment.text("REELMESH_METRICS_LISTEN", default="") or None,
            drain_seconds=environment.number(
                "REELMESH_DRAIN_SECONDS", minimum=0, maximum=300, default=8
            ),
            log_level=environment.choice(
                "REELMESH_LOG_LEVEL",
                choices=("DEBUG", "INFO", "WARNING", "ERROR"),
                default="INFO",
            ),
        )


async def serve(settings: BridgeSettings) -> None:
    """Carry calls until SIGTERM or SIGINT, then let those under way end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(open_broker(settings.broker_url))
        scheduler = await stack.enter_async_context(
            grpc.aio.insecure_channel(settings.scheduler_address, options=CHANNEL_OPTIONS)
        )
        bridge = Bridge(broker, scheduler)
        await stack.enter_async_context(
            health_endpoint(
                settings.metrics_listen,
                lambda: None if bridge.is_connected else "the broker does not answer",
            )
        )
        running = asyncio.create_task(bridge.run(), name="bridge")
        logger.info("the bridge is open")
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()  # Only a fault of its own ends it.
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await bridge.drain(settings.drain_seconds)


def main() -> None:
    """Run the bridge that the environment describes."""
    environment = Environment(os.environ)
    settings = BridgeSettings.from_environment(environment)
    try:
        environment.finish()
    except InvalidConfiguration as error:
        sys.stderr.write(f"connector bridge: {error}\n")
        sys.exit(BAD_CONFIGURATION_STATUS)
    telemetry.configure("connector", log_level=settings.log_level)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
