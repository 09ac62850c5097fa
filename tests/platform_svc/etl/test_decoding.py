"""Messages of the stream, read by their contracts."""

from __future__ import annotations

import json

import pytest
from reelmesh.business.tools.v1.tools_events_pb2 import RunFinished
from reelmesh.inference.jobs.v1.jobs_events_pb2 import JobFinished
from reelmesh.inference.jobs.v1.jobs_service_pb2 import Job
from reelmesh.platform.events.v1.events_events_pb2 import CollectedEvent, EventsCollected
from reelmesh.platform.identity.v1.identity_events_pb2 import UserSignedUp

from meshkit.testing.clock import START
from platform_svc.etl.decoding import decode
from platform_svc.etl.records import RawEvent


def raw(subject: str, data: bytes = b"") -> RawEvent:
    return RawEvent(7, "e1", f"reelmesh.{subject}", START, data)


def test_what_a_service_publishes_is_read_by_its_subject() -> None:
    message = RunFinished(run_id="run_1", org_id="org_1", user_id="usr_1", credits_charged=0)
    message.finished_at.FromJsonString("2026-01-02T03:04:05Z")
    [event] = decode(raw("business.tools.run_finished", message.SerializeToString()))
    assert (event.name, event.event_id) == ("business.tools.run_finished", "e1")
    assert (event.org_id, event.user_id, event.problem) == ("org_1", "usr_1", "")
    assert event.occurred_at.isoformat() == "2026-01-02T03:04:05+00:00"
    assert json.loads(event.properties)["credits_charged"] == 0


def test_a_message_that_wraps_another_is_unwrapped() -> None:
    message = JobFinished(job=Job(job_id="job_1", tenant_id="org_1", region="us-east"))
    [event] = decode(raw("inference.jobs.job_finished", message.SerializeToString()))
    assert event.org_id == "org_1"
    assert json.loads(event.properties)["region"] == "us-east"


def test_a_batch_of_frontends_is_as_many_events() -> None:
    batch = EventsCollected(events=[CollectedEvent(event_id=f"c{n}", name="x") for n in range(3)])
    events = list(decode(raw("platform.events.events_collected", batch.SerializeToString())))
    assert [(event.event_id, event.name) for event in events] == [
        ("c0", "client.x"),
        ("c1", "client.x"),
        ("c2", "client.x"),
    ]


def test_what_names_a_person_is_left_out() -> None:
    message = UserSignedUp(user_id="usr_1", display_name="Ada Secret")
    [event] = decode(raw("platform.identity.user_signed_up", message.SerializeToString()))
    assert event.user_id == "usr_1"
    assert "Secret" not in event.properties


@pytest.mark.parametrize(
    "subject",
    [
        "odd",
        "new.thing.happened",
        "business.tools.unknown",
        "os.path.x",
        "business.tools.annotations",
    ],
)
def test_what_is_not_known_is_kept_with_its_problem(subject) -> None:
    [event] = decode(raw(subject, b"\0"))
    assert event.problem
    assert (event.event_id, event.properties) == ("e1", "{}")
