"""Records how a run moves: one short transaction each, with the events that others hear."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.tools import runs
from business_svc.tools.changes import RunChanges
from business_svc.tools.messages import run_finished, run_notice
from business_svc.tools.runs import Job, Phase, Run
from business_svc.tools.store import RunStore
from meshkit.clock import Ambient
from meshkit.idempotency import forget
from meshkit.notices import raise_notice
from meshkit.outbox import add_event
from meshkit.postgres import after_commit, retry_aborted

RUN_FINISHED = "reelmesh.business.tools.run_finished"
RUN_TOOL = "RunTool"

Move = Callable[[Run], Run]


@dataclass(frozen=True, slots=True)
class RunJournal:
    """The only writer of runs that exist already."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    changes: RunChanges

    async def find(self, run_id: uuid.UUID) -> Run | None:
        """Return a run as last recorded."""
        async with self.sessions() as session:
            return await RunStore(session).find(run_id)

    async def record(self, before: Run, move: Move) -> Run | None:
        """Record a move of a run; if it is no longer where `before` was, give it as it is."""

        async def attempt() -> Run | None:
            async with self.sessions.begin() as session:
                store = RunStore(session)
                run = await store.lock(before.id)
                if run is None or (run.phase, run.verdict) != (before.phase, before.verdict):
                    return run
                return await self._save(session, move(run))

        return await retry_aborted(attempt)

    async def settle(self, before: Run) -> Run | None:
        """Record the end of a run; the others hear of it once."""
        return await self.record(before, partial(runs.settled, now=self.ambient.now()))

    async def job_ended(
        self, run_id: uuid.UUID, job: Job, *, then: Callable[[], None]
    ) -> Run | None:
        """Record the end of a run's job, if it is news, and call `then` after the commit."""

        async def attempt() -> Run | None:
            async with self.sessions.begin() as session:
                run = await RunStore(session).lock(run_id)
                if run is None or run.phase not in {Phase.SUBMITTING, Phase.ACTIVE}:
                    return run
                after_commit(session, then)
                return await self._save(session, runs.ended(run, job))

        return await retry_aborted(attempt)

    async def request_cancel(self, run_id: uuid.UUID) -> Run | None:
        """Record that the owner wants a run to end; a settling or settled one stays as it is."""

        async def attempt() -> Run | None:
            async with self.sessions.begin() as session:
                run = await RunStore(session).lock(run_id)
                if run is None or run.phase in {Phase.SETTLING, Phase.SETTLED}:
                    return run
                return await self._save(session, replace(run, cancel_requested=True))

        return await retry_aborted(attempt)

    async def take_back(self, run_id: uuid.UUID) -> None:
        """Remove an intent that was refused, with its claim on the idempotency key."""

        async def attempt() -> None:
            async with self.sessions.begin() as session:
                store = RunStore(session)
                run = await store.lock(run_id)
                if run is None or run.phase is not Phase.HOLDING:
                    return
                await store.remove(run_id)
                scope = key_scope(run.organization_id)
                await forget(session, scope, RUN_TOOL, run.idempotency_key)

        await retry_aborted(attempt)

    async def _save(self, session: AsyncSession, run: Run) -> Run:
        now = self.ambient.now()
        await RunStore(session).save(run, now=now)
        if run.settled:
            event_id = self.ambient.new_id()
            await add_event(session, RUN_FINISHED, run_finished(run), event_id=event_id, now=now)
            await raise_notice(session, run_notice(run), self.ambient)
        after_commit(session, partial(self.changes.notify, run.id))
        return run


def key_scope(organization_id: uuid.UUID) -> str:
    """Return whose idempotency keys they are."""
    return str(organization_id)
