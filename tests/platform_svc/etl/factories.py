"""Plain events of silver, of which a test names only what it is about."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from platform_svc.etl.marts import fold
from platform_svc.etl.records import Event

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(
    name: str, event_id: str, *, day: int = 0, user: str = "usr_a", **properties: Any
) -> Event:
    moment = DAY + timedelta(days=day)
    return Event(
        event_id=event_id,
        offset=1,
        name=name,
        schema_version=1,
        occurred_at=moment,
        published_at=moment,
        org_id="org_a",
        user_id=user,
        properties=json.dumps(properties),
    )


def signed_up(user: str, *, day: int = 0) -> Event:
    return event(fold.SIGNED_UP, f"up-{user}", day=day, user=user)


def opened_tool(user: str, number: int = 1) -> Event:
    return event(fold.TOOL_OPENED, f"open-{user}-{number}", user=user, tool="t")


def run(run_id: str, user: str = "usr_a", *, day: int = 0, **changes: Any) -> Event:
    fields = {"run_id": run_id, "tool": "t", "state": "succeeded", "credits_charged": 10}
    return event(fold.RUN_FINISHED, f"run-{run_id}", day=day, user=user, **(fields | changes))


def job(run_id: str, region: str = "us-east", run_ms: int = 3_600_000) -> Event:
    timings = {"run_ms": run_ms, "upload_ms": 0}
    return event(
        fold.JOB_FINISHED, f"job-{run_id}", idempotency_key=run_id, region=region, timings=timings
    )


def post(post_id: str, user: str, run_id: str = "", *parents: str, day: int = 0) -> Event:
    return event(
        *(fold.POST_PUBLISHED, f"post-{post_id}"),
        day=day,
        user=user,
        post_id=post_id,
        run_id=run_id,
        parent_post_ids=list(parents),
    )
