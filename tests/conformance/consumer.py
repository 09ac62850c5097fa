"""A consumer that leases one job over the region's connector, says so, and then hangs."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack

from inference.connectors.client import SchedulerAway
from inference.connectors.messages import job_text
from inference.regions.connecting import open_connector
from inference.regions.settings import ReplicaSettings
from inference.testing import offer
from meshkit.config import Environment


async def main() -> None:
    environment = Environment(json.loads(sys.argv[1]))
    settings = ReplicaSettings.from_environment(environment)
    environment.finish()
    async with AsyncExitStack() as stack:
        connector = await open_connector(stack, settings)
        leases = []
        while not leases:
            try:
                leases = list(await connector.lease(offer(agent_id="doomed")))
            except SchedulerAway:
                continue
        [lease] = leases
        sys.stdout.write(f"{job_text(lease.key.job_id)} {lease.key.fence}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
