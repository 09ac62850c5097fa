"""Moves a run on: each step records an intent, calls another part, and records the result.

No call is made inside a transaction, and each call may be repeated, so a step that was cut off
anywhere is simply taken again: by the caller's retry, by an event, or by the reconciler.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial

from business_svc.tools import runs
from business_svc.tools.assets import Assets, OutputRejected
from business_svc.tools.credits import Credits, HoldLost
from business_svc.tools.errors import AssetNotFound, InsufficientCredits
from business_svc.tools.inference_jobs import InferenceJobs, JobRefused
from business_svc.tools.journal import RunJournal
from business_svc.tools.locks import RunLocks
from business_svc.tools.remote import Refused
from business_svc.tools.runs import Failure, Phase, Run, State


@dataclass(frozen=True, slots=True)
class RunDriver:
    """Takes the steps that a run's phase asks for."""

    journal: RunJournal
    credits: Credits
    assets: Assets
    jobs: InferenceJobs
    locks: RunLocks

    async def advance(self, run_id: uuid.UUID) -> Run | None:
        """Move a run on until it waits for its job or is settled; None if there is none.

        Raises:
            InsufficientCredits: the intent was taken back.
            AssetNotFound: the intent was taken back.
            Unavailable: another part is away; the run is as far as it could get.
        """
        async with self.locks.held(run_id):
            run = await self.journal.find(run_id)
            while run is not None and not run.settled:
                phase = run.phase
                run = await self._step(run)
                if run is None or not _goes_on(phase, run):
                    break
            return run

    async def _step(self, run: Run) -> Run | None:
        match run.phase:
            case Phase.HOLDING:
                return await self._hold(run)
            case Phase.SUBMITTING:
                return await self._submit(run)
            case Phase.ACTIVE:
                return await self._follow(run)
            case Phase.SETTLING if run.verdict is None:
                return await self._keep_outputs(run)
        return await self._settle(run)

    async def _hold(self, run: Run) -> Run | None:
        image_key = None
        try:
            if run.spec.image_input is not None:
                asset = str(run.spec.inputs[run.spec.image_input])
                image_key = await self.assets.object_key(run.organization_id, asset)
            await self.credits.hold(run)
        except InsufficientCredits:
            await self.journal.take_back(run.id)
            raise
        except (AssetNotFound, Refused):
            # An earlier attempt may have held the credits and not lived to record it.
            await self.credits.release(run.id)
            await self.journal.take_back(run.id)
            raise
        if run.cancel_requested:
            await self.credits.release(run.id)
            await self.journal.take_back(run.id)
            return None
        moved = await self.journal.record(run, partial(runs.held, image_key=image_key))
        if moved is None:
            # Another process was refused and took the intent back in the meantime.
            await self.credits.release(run.id)
        return moved

    async def _submit(self, run: Run) -> Run | None:
        try:
            job = await self.jobs.submit(run)
        except JobRefused as refusal:
            return await self._refuse(run, refusal.failure)
        move = runs.ended if job.ended else runs.submitted
        return await self.journal.record(run, partial(move, job=job))

    async def _follow(self, run: Run) -> Run | None:
        assert run.job_id is not None, run.id
        try:
            if run.cancel_requested:
                job = await self.jobs.cancel(run.job_id)
            else:
                job = await self.jobs.get(run.job_id)
        except JobRefused as refusal:
            return await self._refuse(run, Failure("JOB_LOST", str(refusal)))
        move = runs.ended if job.ended else runs.observed
        return await self.journal.record(run, partial(move, job=job))

    async def _refuse(self, run: Run, failure: Failure) -> Run | None:
        return await self.journal.record(run, partial(runs.refused, failure=failure))

    async def _keep_outputs(self, run: Run) -> Run | None:
        try:
            await self.assets.keep(run)
        except OutputRejected as rejection:
            failure = Failure("OUTPUT_REJECTED", str(rejection))
            decide = partial(runs.decided, verdict=State.FAILED, failure=failure)
        else:
            decide = partial(runs.decided, verdict=State.SUCCEEDED)
        return await self.journal.record(run, decide)

    async def _settle(self, run: Run) -> Run | None:
        if run.verdict is not State.SUCCEEDED:
            await self.credits.release(run.id)
            return await self.journal.settle(run)
        try:
            await self.credits.capture(run)
        except HoldLost as loss:
            failure = Failure("HOLD_LOST", f"the credits are no longer held: {loss}")
            return await self.journal.record(
                run, partial(runs.decided, verdict=State.FAILED, failure=failure)
            )
        return await self.journal.settle(run)


def _goes_on(before: Phase, run: Run) -> bool:
    """Return whether there is something to do now, other than to wait for the job."""
    if run.phase is not Phase.ACTIVE:
        return True
    return before is Phase.SUBMITTING and run.cancel_requested
