"""The Ray Serve deployment: loads a model, warms it, runs leases, reports its health."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from reelmesh.inference.regions.v1 import lease_service_pb2 as pb

from inference.connectors.messages import job_text, lease_of
from inference.models.caching import ModelCache
from inference.models.catalog import ModelEntry
from inference.pipelines.loading import load_pipeline
from inference.pipelines.protocol import Pipeline
from inference.regions.connecting import open_connector
from inference.regions.execution import JobRunner
from inference.regions.settings import ReplicaSettings
from inference.regions.warming import warm
from meshkit.config import Environment
from meshkit.context import CallContext, enter
from meshkit.object_store import S3ObjectStore

STARTED: Final = "started"
# The health check kills a replica whose pipeline makes no step for so long.
STALL_SECONDS_MAX: Final = 300.0
CALL_SECONDS_MAX: Final = 5.0

logger = logging.getLogger(__name__)


class PictureReplica:
    """One model on one device, running one lease at a time.

    `variables` are the REELMESH_ variables of the region.
    """

    # Serve awaits a constructor that is a coroutine function.
    async def __init__(  # type: ignore[misc]
        self, variables: Mapping[str, str], entry: ModelEntry
    ) -> None:
        environment = Environment(variables)
        settings = ReplicaSettings.from_environment(environment)
        environment.finish()
        self._stack = AsyncExitStack()
        store = await self._stack.enter_async_context(S3ObjectStore(settings.s3))
        connector = await open_connector(self._stack, settings, timeout_seconds=CALL_SECONDS_MAX)
        self._runner = JobRunner(
            await _load(settings, entry, store),
            store,
            connector,
            beat_seconds=settings.beat_seconds,
            step_seconds=settings.step_seconds,
        )
        self._running: set[asyncio.Task[str]] = set()

    async def run(self, message: bytes) -> AsyncIterator[str]:
        """Run a lease: gives "started" as work begins, and at last how it ended.

        The work is a task of its own, since it must go on when the caller is gone.
        """
        lease = lease_of(pb.Lease.FromString(message))
        enter(
            CallContext(
                method="region.run",
                request_id=job_text(lease.key.job_id),
                traceparent=lease.traceparent or None,
            )
        )
        work = asyncio.create_task(self._runner.run(lease))
        self._running.add(work)
        work.add_done_callback(self._running.discard)
        yield STARTED
        yield await asyncio.shield(work)

    def check_health(self) -> None:
        """Raise when the pipeline hangs, so that Serve replaces the replica.

        Raises:
            RuntimeError: a lease is under way and no step was made for minutes.
        """
        idle = time.monotonic() - self._runner.last_step_at
        if self._runner.is_busy and idle > STALL_SECONDS_MAX:
            raise RuntimeError(f"no step for {idle:.0f} seconds")


async def _load(settings: ReplicaSettings, entry: ModelEntry, store: S3ObjectStore) -> Pipeline:
    family = settings.family or entry.family
    folder = Path()
    if family != "fake":
        folder = await ModelCache(settings.models_folder, store).fetch(entry)
    pipeline = await asyncio.to_thread(load_pipeline, family, folder, settings.device)
    seconds = await asyncio.to_thread(warm, pipeline)
    logger.info("warm", extra={"model": entry.name, "family": family, "seconds": seconds})
    return pipeline
