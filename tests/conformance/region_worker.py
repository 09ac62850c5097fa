"""A region without Ray: the agent's dispatcher, and the replica's work in the same process."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

from inference.connectors.protocol import Lease
from inference.pipelines.fake import FakePipeline
from inference.regions.connecting import open_connector
from inference.regions.dispatch import Dispatcher
from inference.regions.execution import JobRunner
from inference.regions.settings import ReplicaSettings
from meshkit.clock import uuid7
from meshkit.config import Environment
from meshkit.object_store import S3ObjectStore


class OwnWorkers:
    """Replicas that live and die with the agent."""

    def __init__(self, runner: JobRunner) -> None:
        self._runner = runner

    def slots(self) -> int:
        return 2

    def models(self) -> frozenset[str]:
        return frozenset({"shapes"})

    async def run(self, lease: Lease, on_start: Callable[[], None]) -> str:
        on_start()
        return await self._runner.run(lease)


async def main() -> None:
    environment = Environment(json.loads(sys.argv[1]))
    settings = ReplicaSettings.from_environment(environment)
    environment.finish()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(S3ObjectStore(settings.s3))
        connector = await open_connector(stack, settings)
        runner = JobRunner(
            FakePipeline(),
            store,
            connector,
            beat_seconds=settings.beat_seconds,
            step_seconds=settings.step_seconds,
        )
        dispatcher = Dispatcher(settings.region, str(uuid7()), connector, OwnWorkers(runner))
        await asyncio.gather(dispatcher.poll(), dispatcher.beat())


if __name__ == "__main__":
    asyncio.run(main())
