"""What tests of the inference part share: plain requests, and the part on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from inference.connectors.messages import job_text
from inference.connectors.protocol import Completion, Lease, LeaseKey, Offer, Output, Submission
from inference.scheduler.snapshot import Placement, Waiting
from inference.wiring import SCHEMA, Inference, build
from meshkit.clock import Ambient
from meshkit.postgres import Database
from meshkit.tasks import Supervisor
from meshkit.wakeup import Wakeup

REGION: Final = "us-east"
READY_MAX: Final = 10_000
INPUTS: Final = {"prompt": "a red circle", "seed": 7.0, "steps": 4.0}
TTL: Final = timedelta(seconds=15)

SUBMISSION: Final = Submission(
    tenant_id="org_1", idempotency_key="k", model="shapes", task="text-to-image", inputs=INPUTS
)
OFFER: Final = Offer(
    region=REGION,
    agent_id="agent-1",
    capacity=1,
    models=frozenset({"shapes"}),
    warm_models=frozenset({"shapes"}),
    wait_seconds=5,
)


def submission(key: str = "k", **changes: Any) -> Submission:
    """Give a submission under the key that differs from the plain one in `changes`."""
    return replace(SUBMISSION, idempotency_key=key, **changes)


def offer(**changes: Any) -> Offer:
    """Give an offer that differs from the plain one in `changes`."""
    return replace(OFFER, **changes)


def completion(key: LeaseKey, **changes: Any) -> Completion:
    """Give a completion with one picture."""
    picture = Output(
        object_key=f"results/{job_text(key.job_id)}/{key.fence}/0.png",
        content_type="image/png",
        size_bytes=100,
        sha256="0" * 64,
        width=64,
        height=64,
        seed=7,
    )
    return replace(Completion(key, (picture,), run_ms=900, upload_ms=12), **changes)


@dataclass(frozen=True, slots=True)
class Bench:
    """The part on a database of its own, with helpers that look behind the scenes."""

    part: Inference
    database: Database

    async def rows(self, query: str, **values: Any) -> Sequence[Any]:
        """Run a query and give its rows."""
        async with self.database.sessions.begin() as session:
            return (await session.execute(text(query), values)).all()

    async def run(self, statement: str, **values: Any) -> None:
        """Run a statement."""
        async with self.database.sessions.begin() as session:
            await session.execute(text(statement), values)

    async def submit(self, key: str = "k", **changes: Any) -> UUID:
        """Queue a job; gives its id."""
        return (await self.part.commands.submit(submission(key, **changes))).id

    async def grant(self, *job_ids: UUID, region: str = REGION) -> list[Lease]:
        """Lease these jobs, if they wait, as the scheduler would."""

        def choose(waiting: Waiting) -> list[Placement]:
            wanted = [job.job_id for job in waiting.ready if job.job_id in job_ids]
            return [Placement(job_id, 1, region, "agent-1", "so the test") for job_id in wanted]

        leases = await self.part.leases.place(["shapes"], {region}, room=READY_MAX, choose=choose)
        return list(leases.values())

    async def waiting(self, *models: str, room: int = READY_MAX) -> Waiting:
        """Give what the scheduler sees of the jobs that wait for these models."""
        seen: list[Waiting] = []

        def choose(waiting: Waiting) -> list[Placement]:
            seen.append(waiting)
            return []

        await self.part.leases.place(models, {REGION}, room=room, choose=choose)
        return seen[0] if seen else Waiting(())

    async def ready(self, *models: str, room: int = READY_MAX) -> list[UUID]:
        """Give the jobs that wait for these models, by band and then by when they are due."""
        return [job.job_id for job in (await self.waiting(*models, room=room)).ready]

    async def leased(self, key: str = "k", **changes: Any) -> Lease:
        """Queue a job and lease it."""
        [lease] = await self.grant(await self.submit(key, **changes))
        return lease

    async def pass_lease_time(self) -> None:
        """Let the time of every lease be over."""
        await self.run("UPDATE jobs.lease SET lease_until = clock_timestamp() - interval '1 s'")

    async def pass_pauses(self) -> None:
        """Let every pause before a retry be over, and queue what waited."""
        await self.run("UPDATE jobs.scheduled SET run_at = clock_timestamp()")
        await self.part.upkeep.promote()


@asynccontextmanager
async def bench(
    url: str, *, loops: bool = False, lease_ttl: timedelta = TTL
) -> AsyncIterator[Bench]:
    """Give the part on a migrated database; with `loops` it places and expires by itself."""
    async with (
        Database(url, schema=SCHEMA, pool_size=20) as database,
        Wakeup(url, "reelmesh_scheduler") as wakeup,
        Supervisor() as supervisor,
    ):
        part = build(database, wakeup, ambient=Ambient(), lease_ttl=lease_ttl)
        if loops:
            supervisor.start("scheduler", part.loop.run)
            supervisor.start("upkeep", part.upkeep.run)
        yield Bench(part, database)
