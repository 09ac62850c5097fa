"""Runs a region's agent: joins its Ray cluster, deploys the replicas and brings them work.

The process gives up when its cluster is gone, since Ray cannot change clusters within a process;
whoever supervises it starts it again. A scheduler that is away it waits for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from typing import Final

from inference.connectors.client import LeaseClient
from inference.models.catalog import Catalog, ModelEntry
from inference.models.publishing import publish
from inference.regions.cluster import RayWorkers, connect
from inference.regions.connecting import open_connector
from inference.regions.dispatch import Dispatcher
from inference.regions.health import health_endpoint
from inference.regions.scaler import Scaler
from inference.regions.settings import REPLICA_VARIABLES, RegionSettings
from meshkit import telemetry
from meshkit.clock import Ambient
from meshkit.config import Environment, InvalidConfiguration
from meshkit.object_store import S3ObjectStore, StoreUnavailable

logger = logging.getLogger(__name__)

BAD_CONFIGURATION_STATUS: Final = 2
PAUSE_SECONDS: Final = 1.0


class Agent:
    """One region's agent process."""

    def __init__(self, settings: RegionSettings, entry: ModelEntry, workers: RayWorkers) -> None:
        self._settings = settings
        self._entry = entry
        self._workers = workers
        self._dispatcher: Dispatcher | None = None
        self._scaler: Scaler | None = None
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then drain; raises when the cluster is gone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                health_endpoint(self._settings.metrics_listen, self.problem)
            )
            replica = self._settings.replica
            await self._publish(await stack.enter_async_context(S3ObjectStore(replica.s3)))
            await self._connect()
            await self._workers.open()
            await self._work(await open_connector(stack, replica))

    def problem(self) -> str | None:
        """Say why the region takes no work, or give None."""
        if self._dispatcher is None or self._scaler is None:
            return "the replicas are being deployed"
        if self._workers.running == 0 and self._settings.replicas_min > 0:
            return "no replica runs"
        # A region without replicas does not ask for work.
        if not self._dispatcher.is_connected and not self._scaler.is_heard:
            return "the scheduler does not answer"
        return None

    async def _work(self, connector: LeaseClient) -> None:
        agent_id = str(Ambient().new_id())
        dispatcher = Dispatcher(self._settings.name, agent_id, connector, self._workers)
        scaler = Scaler(self._settings, connector, self._workers, lambda: dispatcher.run_seconds)
        self._dispatcher, self._scaler = dispatcher, scaler
        logger.info("region is open", extra={"region": self._settings.name, "agent": agent_id})
        loops = {
            asyncio.create_task(work, name=name)
            for name, work in (
                ("poll", dispatcher.poll()),
                ("beat", dispatcher.beat()),
                ("watch", self._workers.watch()),
                ("scale", scaler.run()),
                ("stop", _wait(self._stop)),
            )
        }
        done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
        for task in loops - done:
            task.cancel()
        await asyncio.gather(*(loops - done), return_exceptions=True)
        for task in done:
            task.result()
        logger.info("draining", extra={"region": self._settings.name, "held": dispatcher.held})
        await dispatcher.drain(self._settings.drain_seconds)

    async def _connect(self) -> None:
        """Join the cluster, waiting for it as long as it takes."""
        while True:
            try:
                await asyncio.to_thread(connect, self._settings.ray_address)
            except ConnectionError as error:
                logger.warning("no cluster yet", extra={"why": str(error)})
                await asyncio.sleep(PAUSE_SECONDS)  # The pause between attempts.
            else:
                return

    async def _publish(self, store: S3ObjectStore) -> None:
        """Publish the embedded model, waiting for the store as long as it takes."""
        if (self._settings.replica.family or self._entry.family) == "fake":
            return
        while True:
            try:
                await store.ensure_bucket()
                await publish(self._entry, store)
            except StoreUnavailable as error:
                logger.warning("cannot publish yet", extra={"why": str(error)})
                await asyncio.sleep(PAUSE_SECONDS)  # The pause between attempts.
            else:
                return


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def main() -> None:
    """Run the agent of the region that the environment describes."""
    environment = Environment(os.environ)
    catalog = Catalog()
    settings = RegionSettings.from_environment(environment, models=catalog.names())
    try:
        environment.finish()
    except InvalidConfiguration as error:
        sys.stderr.write(f"region agent: {error}\n")
        sys.exit(BAD_CONFIGURATION_STATUS)
    telemetry.configure(f"region-{settings.name}", log_level=settings.log_level)
    variables = {
        name: value for name, value in os.environ.items() if name.startswith(REPLICA_VARIABLES)
    }
    entry = catalog.entry(settings.model)
    workers = RayWorkers(settings, variables, entry)
    asyncio.run(Agent(settings, entry, workers).run())


if __name__ == "__main__":
    main()
