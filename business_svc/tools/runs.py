"""Runs: frozen values and the state machine that every run goes through, without I/O."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any


class State(enum.StrEnum):
    """How a run stands, as its owner sees it; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


LIVE = frozenset({State.QUEUED, State.RUNNING})
FINAL = frozenset(State) - LIVE


class Phase(enum.StrEnum):
    """What has to happen next for a run; see the table in `NEXT`."""

    HOLDING = "holding"  # An intent: credits are to be held. Owners do not see it yet.
    SUBMITTING = "submitting"  # Credits are held, the job is to be submitted.
    ACTIVE = "active"  # The job is in the queue or in a region.
    SETTLING = "settling"  # The job has ended; assets and credits are to follow.
    SETTLED = "settled"  # Nothing is left to do.


class Event(enum.StrEnum):
    """What moves a run on."""

    HELD = "held"
    SUBMITTED = "submitted"
    OBSERVED = "observed"
    ENDED = "ended"
    DECIDED = "decided"
    SETTLED = "settled"


# (phase, event) to phase; whatever is not here must not happen.
NEXT: Mapping[tuple[Phase, Event], Phase] = {
    (Phase.HOLDING, Event.HELD): Phase.SUBMITTING,
    (Phase.SUBMITTING, Event.SUBMITTED): Phase.ACTIVE,
    # The end may be heard of before the answer to the submission was recorded.
    (Phase.SUBMITTING, Event.ENDED): Phase.SETTLING,
    (Phase.ACTIVE, Event.OBSERVED): Phase.ACTIVE,
    (Phase.ACTIVE, Event.ENDED): Phase.SETTLING,
    (Phase.SETTLING, Event.DECIDED): Phase.SETTLING,
    (Phase.SETTLING, Event.SETTLED): Phase.SETTLED,
}


@dataclass(frozen=True, slots=True)
class Spec:
    """What is to be made, fixed when the run is created."""

    tool: str
    tool_version: str
    model: str
    task: str
    inputs: Mapping[str, Any]  # Complete: defaults and the seed are filled in.
    image_input: str | None
    count: int
    unit_credits: int
    band: int = 0  # Lower is served first.

    @property
    def price_credits(self) -> int:
        """The most that the run can cost."""
        return self.unit_credits * self.count


@dataclass(frozen=True, slots=True)
class Output:
    """One object that the job made."""

    object_key: str
    content_type: str
    size_bytes: int
    sha256: str
    width: int
    height: int
    seed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there are no pictures."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the newest attempt is; steps are counted over all pictures."""

    step: int = 0
    steps: int = 0
    region: str = ""
    attempt: int = 0
    queue_ms: int = 0
    run_ms: int = 0
    upload_ms: int = 0
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What inference says of a run's job."""

    id: uuid.UUID
    state: State
    progress: Progress = Progress()
    outputs: tuple[Output, ...] = ()
    failure: Failure | None = None

    @property
    def ended(self) -> bool:
        """Whether the job is in a terminal state."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class Run:
    """One use of a tool."""

    id: uuid.UUID
    organization_id: uuid.UUID
    user_id: uuid.UUID
    spec: Spec
    created_at: datetime
    start_deadline: datetime
    idempotency_key: str | None = None
    phase: Phase = Phase.HOLDING
    state: State = State.QUEUED
    cancel_requested: bool = False
    image_key: str | None = None
    job_id: uuid.UUID | None = None
    progress: Progress = field(default_factory=Progress)
    verdict: State | None = None  # How it will end, once that cannot change any more.
    outputs: tuple[Output, ...] = ()
    failure: Failure | None = None
    held_credits: int = 0
    charged_credits: int = 0
    finished_at: datetime | None = None

    @property
    def settled(self) -> bool:
        """Whether the run has reached its end."""
        return self.phase is Phase.SETTLED

    @property
    def due_credits(self) -> int:
        """What the pictures that were made cost; never more than what was held."""
        return self.spec.unit_credits * min(len(self.outputs), self.spec.count)


def asset_id(run_id: uuid.UUID, index: int) -> uuid.UUID:
    """Return the id of a run's picture: always the same, so that importing twice is harmless."""
    return uuid.uuid5(run_id, f"output/{index}")


def asset_ids(run: Run) -> tuple[uuid.UUID, ...]:
    """Return the assets of a run that succeeded; of any other there are none."""
    if run.state is not State.SUCCEEDED:
        return ()
    return tuple(asset_id(run.id, index) for index in range(len(run.outputs)))


def input_assets(run: Run) -> tuple[str, ...]:
    """Return the public ids of the assets that the run works on."""
    name = run.spec.image_input
    given = None if name is None else run.spec.inputs.get(name)
    return () if given is None else (str(given),)


def held(run: Run, *, image_key: str | None) -> Run:
    """Record that the credits are held and where the input image lies."""
    return replace(
        _moved(run, Event.HELD), held_credits=run.spec.price_credits, image_key=image_key
    )


def submitted(run: Run, job: Job) -> Run:
    """Record the job that was submitted for the run."""
    return _following(replace(_moved(run, Event.SUBMITTED), job_id=job.id), job)


def observed(run: Run, job: Job) -> Run:
    """Record how the run's job stands; a job that has ended needs `ended`."""
    assert job.id == run.job_id, (run.id, job.id)
    return _following(_moved(run, Event.OBSERVED), job)


def ended(run: Run, job: Job) -> Run:
    """Record the end of the job: all that settling needs is in the run then.

    A job that succeeded leaves the verdict open, for its outputs may turn out to be no pictures.
    """
    assert job.ended, job
    moved = replace(_moved(run, Event.ENDED), job_id=job.id, progress=job.progress)
    if job.state is not State.SUCCEEDED:
        return replace(moved, verdict=job.state, failure=_failure(job))
    if not job.outputs:
        failure = Failure("NO_OUTPUTS", "the job succeeded without outputs")
        return replace(moved, verdict=State.FAILED, failure=failure)
    return replace(moved, outputs=job.outputs[: run.spec.count])


def refused(run: Run, failure: Failure) -> Run:
    """Record that inference will never make this run's job, or has lost it."""
    return replace(_moved(run, Event.ENDED), verdict=State.FAILED, failure=failure)


def decided(run: Run, verdict: State, failure: Failure | None = None) -> Run:
    """Fix how the run ends; success may still become failure, but nothing else may change."""
    assert verdict in FINAL, verdict
    assert run.verdict is None or (run.verdict, verdict) == (State.SUCCEEDED, State.FAILED), run
    assert (failure is None) == (verdict is State.SUCCEEDED), (verdict, failure)
    return replace(_moved(run, Event.DECIDED), verdict=verdict, failure=failure)


def settled(run: Run, now: datetime) -> Run:
    """Record the end of the run, its credits being captured or released."""
    assert run.verdict is not None, run
    succeeded = run.verdict is State.SUCCEEDED
    return replace(
        _moved(run, Event.SETTLED),
        state=run.verdict,
        charged_credits=run.due_credits if succeeded else 0,
        held_credits=0,
        outputs=run.outputs if succeeded else (),
        finished_at=now,
    )


def shown(run: Run, job: Job | None) -> Run:
    """Return the run as its owner sees it, with newer news of its job."""
    if job is None or run.phase is not Phase.ACTIVE or job.id != run.job_id:
        return run
    return _following(run, job)


def _following(run: Run, job: Job) -> Run:
    # Public states change to final ones only by settling.
    return replace(run, state=job.state if job.state in LIVE else run.state, progress=job.progress)


def _failure(job: Job) -> Failure | None:
    if job.state is State.CANCELED:
        return None
    return job.failure or Failure(job.state.upper(), f"the job {job.state}")


def _moved(run: Run, event: Event) -> Run:
    phase = NEXT.get((run.phase, event))
    assert phase is not None, f"a run in {run.phase} cannot be {event}"
    return replace(run, phase=phase)
