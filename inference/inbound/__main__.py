"""Runs one inbound connector: `python -m inference.inbound`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as pb_grpc

from inference.connectors.brokers.opening import open_broker
from inference.inbound.intake import Intake
from inference.inbound.settings import InboundSettings
from inference.regions.health import health_endpoint
from meshkit import telemetry
from meshkit.config import Environment, InvalidConfiguration
from meshkit.stubs import MeshChannel
from meshkit.tokens import ServiceIdentity

logger = logging.getLogger(__name__)

BAD_CONFIGURATION_STATUS: Final = 2
SERVICE: Final = "inbound"


async def serve(settings: InboundSettings, key_file: Path) -> None:
    """Take messages in until SIGTERM or SIGINT; what is under way then comes again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(
            open_broker(settings.broker_url, redelivery_seconds=settings.redelivery_seconds)
        )
        channel = await stack.enter_async_context(
            MeshChannel(settings.scheduler_address, ServiceIdentity(SERVICE, key_file))
        )
        intake = Intake(broker, channel.stub(pb_grpc.JobsServiceStub), settings.source)
        await stack.enter_async_context(
            health_endpoint(settings.metrics_listen, lambda: intake.problem)
        )
        running = asyncio.create_task(intake.run(), name="intake")
        logger.info("taking messages in", extra={"source": settings.source.name})
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()  # Only a fault of its own ends it.
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def main() -> None:
    """Run the inbound connector that the environment describes."""
    environment = Environment(os.environ)
    settings = InboundSettings.from_environment(environment)
    key_file = environment.path("REELMESH_SERVICE_KEY_FILE")
    try:
        environment.finish()
    except InvalidConfiguration as error:
        sys.stderr.write(f"inbound connector: {error}\n")
        sys.exit(BAD_CONFIGURATION_STATUS)
    telemetry.configure("inbound", log_level=settings.log_level)
    asyncio.run(serve(settings, key_file))


if __name__ == "__main__":
    main()
