"""Read use cases of the tools service: runs as their owners see them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.tools.assets import Assets
from business_svc.tools.errors import RunNotFound
from business_svc.tools.inference_jobs import InferenceJobs, JobRefused
from business_svc.tools.runs import Phase, Run, asset_ids, shown
from business_svc.tools.store import Position, RunStore
from meshkit.errors import Unavailable
from meshkit.ids import format_id

# Runs of one page whose jobs are asked about at once.
JOB_CALLS_MAX = 16


@dataclass(frozen=True, slots=True)
class RunQueries:
    """Reads runs, with news of their jobs and addresses of their pictures."""

    sessions: async_sessionmaker[AsyncSession]
    jobs: InferenceJobs
    assets: Assets

    async def find(self, organization_id: uuid.UUID, run_id: uuid.UUID) -> Run:
        """Return an organization's run as last recorded.

        Raises:
            RunNotFound: the organization has no such run, or it is not accepted yet.
        """
        async with self.sessions() as session:
            run = await RunStore(session).find(run_id)
        if run is None or run.organization_id != organization_id or run.phase is Phase.HOLDING:
            raise RunNotFound(format_id("run", run_id))
        return run

    async def page(
        self, organization_id: uuid.UUID, *, after: Position | None, limit: int
    ) -> tuple[Sequence[Run], Position | None]:
        """Return runs, newest first, and where the next page begins if there is one."""
        async with self.sessions() as session:
            runs = await RunStore(session).page(organization_id, after=after, limit=limit + 1)
        if len(runs) <= limit:
            return runs, None
        last = runs[limit - 1]
        return runs[:limit], Position(last.created_at, last.id)

    async def with_news(self, runs: Sequence[Run]) -> list[Run]:
        """Return the runs with the newest progress of their jobs, as far as inference answers."""
        calls = asyncio.Semaphore(JOB_CALLS_MAX)

        async def with_job(run: Run) -> Run:
            if run.phase is not Phase.ACTIVE or run.job_id is None:
                return run
            async with calls:
                try:
                    return shown(run, await self.jobs.get(run.job_id))
                except (Unavailable, JobRefused):
                    return run  # What is recorded is older, and true.

        return list(await asyncio.gather(*map(with_job, runs)))

    async def urls(self, organization_id: uuid.UUID, runs: Sequence[Run]) -> Mapping[str, str]:
        """Return a URL for each of the runs' pictures that still exists, by asset id.

        Raises:
            Unavailable: the platform is away.
        """
        assets = list(chain.from_iterable(map(asset_ids, runs)))
        if not assets:
            return {}
        return await self.assets.urls(organization_id, assets)
