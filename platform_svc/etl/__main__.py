"""Makes one run: `python -m platform_svc.etl [--run-id ID]`.

The platform part starts this for each run; elsewhere a scheduler of the operator's may. Ends with
0, with 3 if a check failed, with 4 if another process loads, and with 1 if something went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from meshkit import telemetry
from meshkit.bus import EventBus
from meshkit.clock import Ambient
from meshkit.config import Environment, InvalidConfiguration
from meshkit.object_store import S3ObjectStore
from meshkit.part import BAD_CONFIGURATION_STATUS
from meshkit.postgres import Database
from meshkit.stubs import MeshChannel
from meshkit.tokens import ServiceIdentity
from platform_svc.etl import pipeline
from platform_svc.etl.committer import AnotherCommitter, Committer, only_committer
from platform_svc.etl.config import LoaderSettings
from platform_svc.etl.lake.catalogue import Lake, opened
from platform_svc.etl.ledger import Ledger
from platform_svc.etl.report import render
from platform_svc.etl.run import LOST, Failure, Outcome
from platform_svc.etl.store import EtlStore
from platform_svc.etl.stream import EventStream
from platform_svc.etl.tables import SCHEMA

CHECK_FAILED_STATUS: Final = 3
BUSY_STATUS: Final = 4
NICENESS: Final = 5
ROWS_PUBLISHED_MAX: Final = 1_000
ORPHANS_EVERY: Final = timedelta(hours=12)
BY_COMMAND: Final = "command"

logger = logging.getLogger("platform_svc.etl")


@dataclass(frozen=True)
class Loader:
    """One run and what it is recorded with."""

    run_id: uuid.UUID
    settings: LoaderSettings
    identity: ServiceIdentity
    platform_address: str
    ambient: Ambient
    database: Database

    async def run(self) -> Failure | None:
        """Load, make and check; the run is recorded whatever comes of it."""
        outcome = Outcome()
        failure: Failure | None = Failure.ERROR
        try:
            async with AsyncExitStack() as stack:
                committer = await stack.enter_async_context(
                    only_committer(self.settings.database_url)
                )
                lake = stack.enter_context(opened(self.settings.database_url, self.settings.s3))
                outcome = await self._load(stack, committer, lake)
            failure = outcome.failure
        except AnotherCommitter:
            failure = Failure.BUSY
        finally:
            if failure is not None:
                async with self.database.sessions.begin() as session:
                    await EtlStore(session).finish(
                        self.run_id, outcome, failure, self.ambient.now()
                    )
        return failure

    async def _load(self, stack: AsyncExitStack, committer: Committer, lake: Lake) -> Outcome:
        bus = await stack.enter_async_context(EventBus(self.settings.nats_url))
        channel = await stack.enter_async_context(MeshChannel(self.platform_address, self.identity))
        objects = await stack.enter_async_context(S3ObjectStore(self.settings.s3))
        work = pipeline.Pipeline(
            self.settings, EventStream(bus), lake, Ledger.over(channel), committer, self.ambient
        )
        async with self.database.sessions() as session:
            known_lost = await EtlStore(session).newest_count(LOST)
        made = await pipeline.run(work, known_lost=known_lost)
        now = self.ambient.now()
        async with self.database.sessions() as session:
            recently = await EtlStore(session).counted_since("orphans", now - ORPHANS_EVERY)
        made.counts |= await pipeline.keep_up(work, objects, thorough=not recently)
        html = render(made.rows, made.outcome, made_at=now)
        contents = pipeline.published(made, html, rows_max=ROWS_PUBLISHED_MAX)
        async with self.database.sessions.begin() as session:
            store = EtlStore(session)
            await store.publish(self.run_id, contents, now)
            await store.finish(self.run_id, made.outcome, made.outcome.failure, now)
        return made.outcome


def main() -> None:
    """Make one run and end with its status."""
    parser = argparse.ArgumentParser(prog="platform_svc.etl")
    parser.add_argument("--run-id", type=uuid.UUID, help="a run that was claimed for this process")
    chosen = parser.parse_args().run_id
    # Without this the file system looks for credentials in the cloud, for seconds.
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    os.nice(NICENESS)  # Who is being served goes first.
    environment = Environment(os.environ)
    settings = LoaderSettings.from_environment(environment)
    address = environment.text("REELMESH_PLATFORM_ADDRESS")
    key_file = environment.path("REELMESH_SERVICE_KEY_FILE")
    try:
        environment.finish()
    except InvalidConfiguration as error:
        sys.stderr.write(f"etl: {error}\n")
        sys.exit(BAD_CONFIGURATION_STATUS)
    telemetry.configure("etl", log_level="INFO")
    identity = ServiceIdentity("platform", key_file, ambient=Ambient())
    sys.exit(asyncio.run(_main(chosen, settings, identity, address)))


async def _main(
    chosen: uuid.UUID | None, settings: LoaderSettings, identity: ServiceIdentity, address: str
) -> int:
    ambient = Ambient()
    async with Database(settings.database_url, SCHEMA, pool_size=2) as database:
        run_id = chosen or ambient.new_id()
        if chosen is None:
            async with database.sessions.begin() as session:
                await EtlStore(session).begin(run_id, BY_COMMAND, ambient.now())
        loader = Loader(run_id, settings, identity, address, ambient, database)
        failure = await loader.run()
    logger.info("a run ended", extra={"run_id": str(run_id), "failure": failure})
    if failure is None:
        return 0
    return {Failure.CHECK_FAILED: CHECK_FAILED_STATUS, Failure.BUSY: BUSY_STATUS}.get(failure, 1)


if __name__ == "__main__":
    main()
