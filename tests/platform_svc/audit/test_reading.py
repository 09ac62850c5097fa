"""Reading logs over RPC: filters, pages, verdicts, and events that become entries."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from reelmesh.platform.audit.v1 import audit_service_pb2 as pb
from reelmesh.platform.audit.v1.audit_events_pb2 import ChangeRecorded
from reelmesh.platform.audit.v1.audit_service_pb2_grpc import AuditServiceStub

from meshkit.audit import CHANGE_RECORDED
from meshkit.ids import format_id
from meshkit.inbox import Event
from meshkit.testing.clock import START
from meshkit.testing.identity import USER
from platform_svc.audit.jobs import Recorder
from tests.platform_svc.refusals import refusal_of

from .entries import ORG, entry

ORG_ID = format_id("org", ORG)


async def listed(stub, **fields) -> list[int]:
    request = pb.ListAuditEntriesRequest(org_id=ORG_ID, **fields)
    return [one.position for one in (await stub.ListAuditEntries(request)).entries]


async def test_every_filter_narrows_the_list(stub, commands) -> None:
    await commands.append(entry(1))
    await commands.append(entry(2, action="api_key.revoked", target_ids=("key_1", "key_2")))
    await commands.append(
        entry(3, action="api_keys", actor_id="usr_bob", occurred_at=START + timedelta(hours=1))
    )
    assert await listed(stub) == [3, 2, 1]
    assert await listed(stub, action="api_key.") == [2, 1]
    assert await listed(stub, action="api_key.created") == [1]
    assert await listed(stub, actor_id="usr_bob") == [3]
    assert await listed(stub, target_id="key_2") == [2]
    assert await listed(stub, since="2026-01-10T11:00:00+01:00") == [3]
    assert await listed(stub, until="2026-01-10T10:00:00Z") == [2, 1]
    assert await listed(stub, action="api_key.", target_id="key_2", actor_id="usr_bob") == []


async def test_pages_give_each_entry_once_while_the_log_grows(stub, commands) -> None:
    for number in range(1, 6):
        await commands.append(entry(number))
    seen, token = [], ""
    while True:
        request = pb.ListAuditEntriesRequest(org_id=ORG_ID, page_size=2, page_token=token)
        page = await stub.ListAuditEntries(request)
        seen += [one.position for one in page.entries]
        token = page.next_page_token
        if not token:
            break
        await commands.append(entry(100 + len(seen)))
    assert seen == [5, 4, 3, 2, 1]


async def test_another_organization_sees_nothing_of_it(stub, commands) -> None:
    await commands.append(entry(1, org_id=uuid.UUID(int=5)))
    assert await listed(stub) == []
    other = pb.ListAuditEntriesRequest(org_id=format_id("org", uuid.UUID(int=5)))
    refusal = await refusal_of(stub.ListAuditEntries(other))
    assert refusal.reason == "NOT_A_MEMBER"


@pytest.mark.parametrize("text", ["yesterday", "2026-01-10T09:00:00"])
async def test_a_time_without_a_zone_is_refused(stub, text) -> None:
    refusal = await refusal_of(listed(stub, since=text))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.reason, refusal.metadata["field"]) == ("INVALID_TIME", "since")


async def test_a_token_of_another_list_is_refused(stub, commands) -> None:
    for number in range(1, 3):
        await commands.append(entry(number, org_id=uuid.UUID(int=number)))
    refusal = await refusal_of(listed(stub, page_token="AAAA"))
    assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_verdicts_are_for_members_and_operators(mesh, stub, commands) -> None:
    await commands.append(entry(1))
    await commands.append(entry(2, org_id=uuid.UUID(int=5)))
    verdict = await stub.VerifyAuditLog(pb.VerifyAuditLogRequest(org_id=ORG_ID))
    assert (verdict.intact, verdict.entries, verdict.broken_at) == (True, 1, 0)
    assert len(verdict.head) == 64
    refusal = await refusal_of(stub.VerifyAuditLogs(pb.VerifyAuditLogsRequest()))
    assert refusal.reason == "CALLER_NOT_ALLOWED"
    async with mesh.as_user(AuditServiceStub, replace(USER, is_operator=True)) as operator:
        first = await operator.VerifyAuditLogs(pb.VerifyAuditLogsRequest(page_size=1))
        rest = await operator.VerifyAuditLogs(
            pb.VerifyAuditLogsRequest(page_token=first.next_page_token)
        )
    assert [one.org_id for one in (*first.verdicts, *rest.verdicts)] == [
        format_id("org", uuid.UUID(int=5)),
        ORG_ID,
    ]
    assert rest.next_page_token == ""


async def test_an_event_becomes_an_entry_once(stub, commands) -> None:
    change = ChangeRecorded(
        org_id=ORG_ID,
        action="member.joined",
        actor_kind="service",
        actor_id="platform",
        target_ids=["usr_1"],
        details={"role": "viewer"},
    )
    change.occurred_at.FromDatetime(START)
    event = Event(uuid.UUID(int=77), CHANGE_RECORDED, change.SerializeToString(), 1)
    recorder = Recorder(commands)
    await recorder.handle(event)
    await recorder.handle(event)
    (shown,) = (await stub.ListAuditEntries(pb.ListAuditEntriesRequest(org_id=ORG_ID))).entries
    assert shown.entry_id == format_id("aud", uuid.UUID(int=77))
    assert (shown.action, shown.actor_id) == ("member.joined", "platform")
    assert dict(shown.details) == {"role": "viewer"}
    assert shown.previous_hash == "0" * 64
