"""Plain values for the tests of the tools service."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from business_svc.tools.runs import Failure, Job, Output, Progress, Run, Spec, State

ORG = uuid.UUID(int=1)
OTHER_ORG = uuid.UUID(int=2)
USER = uuid.UUID(int=3)
RUN = uuid.UUID(int=4)
JOB = uuid.UUID(int=5)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def spec(**changes: Any) -> Spec:
    fields: dict[str, Any] = {
        "tool": "text-to-image",
        "tool_version": "1.0.0",
        "model": "shapes",
        "task": "text-to-image",
        "inputs": {"prompt": "a red circle", "seed": 7, "steps": 25},
        "image_input": None,
        "count": 2,
        "unit_credits": 3,
    }
    return Spec(**(fields | changes))


def run(**changes: Any) -> Run:
    fields: dict[str, Any] = {
        "id": RUN,
        "organization_id": ORG,
        "user_id": USER,
        "spec": spec(),
        "created_at": NOW,
        "start_deadline": NOW + timedelta(hours=1),
    }
    return Run(**(fields | changes))


def output(index: int = 0) -> Output:
    return Output(
        object_key=f"results/job/1/{index}.png",
        content_type="image/png",
        size_bytes=100 + index,
        sha256=f"{index:064x}",
        width=64,
        height=64,
        seed=7 + index,
    )


def job(state: State = State.QUEUED, *, outputs: int = 0, **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "id": JOB,
        "state": state,
        "progress": Progress(step=3, steps=50, region="us-east", attempt=1),
        "outputs": tuple(map(output, range(outputs))),
        "failure": Failure("ATTEMPTS_EXHAUSTED", "five times") if state is State.FAILED else None,
    }
    return Job(**(fields | changes))
