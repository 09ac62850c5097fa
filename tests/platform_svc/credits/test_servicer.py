"""CreditsService through a real server on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import grpc
import pytest
from reelmesh.platform.credits.v1 import credits_service_pb2 as pb
from reelmesh.platform.credits.v1.credits_service_pb2_grpc import (
    CreditsServiceStub,
    add_CreditsServiceServicer_to_server,
)
from reelmesh.platform.organizations.v1 import organizations_events_pb2 as events

from meshkit.ids import format_id
from meshkit.inbox import Event
from meshkit.server import Service
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from platform_svc.credits.jobs import ORGANIZATION_CREATED, SignUpGrants
from platform_svc.credits.servicer import CreditsServicer
from platform_svc.credits.wiring import SERVICE_NAME
from tests.platform_svc.refusals import Refusal, refusal_of

ORG_ID = format_id("org", USER.organization_id)
OTHER_ORG_ID = format_id("org", UUID(int=7))


@pytest.fixture
async def mesh(commands, queries, identity: TestIdentity) -> AsyncIterator[ServedMesh]:
    servicer = CreditsServicer(commands, queries)
    service = Service(
        SERVICE_NAME, lambda server: add_CreditsServiceServicer_to_server(servicer, server)
    )
    async with serve(service, identity=identity) as mesh:
        yield mesh


@pytest.fixture
async def platform(mesh) -> AsyncIterator[CreditsServiceStub]:
    async with mesh.as_service(CreditsServiceStub, "platform") as stub:
        yield stub


@pytest.fixture
async def business(mesh) -> AsyncIterator[CreditsServiceStub]:
    async with mesh.as_service(CreditsServiceStub, "business") as stub:
        yield stub


@pytest.fixture
async def user(mesh) -> AsyncIterator[CreditsServiceStub]:
    async with mesh.as_user(CreditsServiceStub) as stub:
        yield stub


def grant(**changes) -> pb.GrantCreditsRequest:
    fields = {
        "org_id": ORG_ID,
        "amount_credits": 100,
        "idempotency_key": f"sign-up:{ORG_ID}",
        "kind": "promotion",
    }
    return pb.GrantCreditsRequest(**(fields | changes))


def hold(**changes) -> pb.HoldCreditsRequest:
    fields = {"hold_id": "run_1", "org_id": ORG_ID, "amount_credits": 40, "hold_seconds": 60}
    return pb.HoldCreditsRequest(**(fields | changes))


def capture(amount_credits: int = 15) -> pb.CaptureHoldRequest:
    return pb.CaptureHoldRequest(hold_id="run_1", amount_credits=amount_credits)


RELEASE = pb.ReleaseHoldRequest(hold_id="run_1")
BALANCE = pb.GetBalanceRequest(org_id=ORG_ID)


async def test_credits_go_from_grant_through_hold_to_capture(
    platform, business, user, clock
) -> None:
    given = await platform.GrantCredits(grant(note="Welcome"))
    assert given.grant_id.startswith("grt_")
    assert (given.amount_credits, given.remaining_credits) == (100, 100)
    assert not given.HasField("expires_at")
    held = await business.HoldCredits(hold())
    assert (held.state, held.amount_credits, held.org_id) == ("pending", 40, ORG_ID)
    assert held.expires_at.seconds == int(clock.now().timestamp()) + 60
    assert await user.GetBalance(BALANCE) == pb.Balance(
        org_id=ORG_ID, available=60, held=40, total=100
    )
    captured = await business.CaptureHold(capture())
    assert (captured.state, captured.captured_credits) == ("captured", 15)
    assert await user.GetBalance(BALANCE) == pb.Balance(
        org_id=ORG_ID, available=85, held=0, total=85
    )
    ledger = await user.ListLedger(pb.ListLedgerRequest(org_id=ORG_ID))
    assert [(e.kind, e.amount_credits, e.reference, e.note) for e in ledger.entries] == [
        ("capture", -15, "run_1", ""),
        ("grant", 100, given.grant_id, "Welcome"),
    ]
    assert all(entry.transaction_id.startswith("ltx_") for entry in ledger.entries)
    # business compares its runs with the ledger of any organization.
    assert await business.ListLedger(pb.ListLedgerRequest(org_id=ORG_ID)) == ledger


async def test_repeated_calls_give_the_same_answers(platform, business) -> None:
    assert await platform.GrantCredits(grant()) == await platform.GrantCredits(grant())
    assert await business.HoldCredits(hold()) == await business.HoldCredits(hold())
    assert await business.CaptureHold(capture()) == await business.CaptureHold(capture())


async def test_a_release_gives_back_and_can_be_repeated(platform, business, user) -> None:
    await platform.GrantCredits(grant())
    await business.HoldCredits(hold())
    released = await business.ReleaseHold(RELEASE)
    assert released.state == "released"
    assert await business.ReleaseHold(RELEASE) == released
    assert (await user.GetBalance(BALANCE)).available == 100


async def test_an_organization_without_grants_has_zeros(user) -> None:
    assert await user.GetBalance(BALANCE) == pb.Balance(org_id=ORG_ID)
    assert await user.ListLedger(pb.ListLedgerRequest(org_id=ORG_ID)) == pb.ListLedgerResponse()


async def test_a_grant_may_end(platform, user, clock) -> None:
    request = grant()
    request.expires_at.FromDatetime(clock.now() + timedelta(seconds=30))
    assert (await platform.GrantCredits(request)).expires_at == request.expires_at
    clock.advance(seconds=30)
    assert (await user.GetBalance(BALANCE)).total == 0


async def test_every_refusal_has_its_reason(platform, business) -> None:
    await platform.GrantCredits(grant())
    await business.HoldCredits(hold())
    exists, failed = grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION
    assert await refusal_of(platform.GrantCredits(grant(amount_credits=101))) == Refusal(
        exists, "IDEMPOTENCY_KEY_REUSED", {}
    )
    big = grant(amount_credits=1_000_000_000, idempotency_key="b")
    await platform.GrantCredits(big)
    big.idempotency_key = "c"
    assert await refusal_of(platform.GrantCredits(big)) == Refusal(
        failed, "ACCOUNT_FULL", {"credits_max": "2000000000"}
    )
    too_much = hold(hold_id="run_2", org_id=OTHER_ORG_ID)
    assert await refusal_of(business.HoldCredits(too_much)) == Refusal(
        failed, "INSUFFICIENT_CREDITS", {"available_credits": "0", "requested_credits": "40"}
    )
    assert await refusal_of(business.HoldCredits(hold(amount_credits=41))) == Refusal(
        exists, "HOLD_ID_REUSED", {"hold_id": "run_1"}
    )
    assert await refusal_of(business.CaptureHold(capture(41))) == Refusal(
        grpc.StatusCode.INVALID_ARGUMENT,
        "CAPTURE_EXCEEDS_HOLD",
        {"hold_id": "run_1", "held_credits": "40", "requested_credits": "41"},
    )
    missing = Refusal(grpc.StatusCode.NOT_FOUND, "HOLD_NOT_FOUND", {"hold_id": "run_9"})
    unknown = pb.CaptureHoldRequest(hold_id="run_9", amount_credits=1)
    assert await refusal_of(business.CaptureHold(unknown)) == missing
    release = pb.ReleaseHoldRequest(hold_id="run_9")
    assert await refusal_of(business.ReleaseHold(release)) == missing
    await business.CaptureHold(capture(15))
    closed = {"hold_id": "run_1", "state": "captured", "captured_credits": "15"}
    for call in (business.CaptureHold(capture(14)), business.ReleaseHold(RELEASE)):
        assert await refusal_of(call) == Refusal(failed, "HOLD_CLOSED", closed)


@pytest.mark.parametrize(
    "request_",
    [
        grant(amount_credits=0),
        grant(kind="gift"),
        grant(idempotency_key=""),
        grant(org_id="org_1"),
        grant(org_id=ORG_ID.replace("org", "usr")),
        hold(amount_credits=0),
        hold(hold_seconds=0),
        hold(hold_id=""),
        hold(hold_id="x" * 129),
        capture(0),
    ],
)
async def test_bad_fields_are_refused(platform, business, request_) -> None:
    calls = {
        pb.GrantCreditsRequest: platform.GrantCredits,
        pb.HoldCreditsRequest: business.HoldCredits,
        pb.CaptureHoldRequest: business.CaptureHold,
    }
    refusal = await refusal_of(calls[type(request_)](request_))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_another_organization_stays_unseen(platform, user) -> None:
    await platform.GrantCredits(grant(org_id=OTHER_ORG_ID))
    for call in (
        user.GetBalance(pb.GetBalanceRequest(org_id=OTHER_ORG_ID)),
        user.ListLedger(pb.ListLedgerRequest(org_id=OTHER_ORG_ID)),
        user.GetBalance(pb.GetBalanceRequest(org_id=format_id("org", UUID(int=99)))),
    ):
        refusal = await refusal_of(call)
        assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


async def test_only_the_named_services_move_credits(mesh, platform, business, user) -> None:
    denied = grpc.StatusCode.PERMISSION_DENIED
    for call in (
        business.GrantCredits(grant()),
        platform.HoldCredits(hold()),
        platform.CaptureHold(capture()),
        platform.ReleaseHold(RELEASE),
        business.GetBalance(BALANCE),
        user.GrantCredits(grant()),
        user.HoldCredits(hold()),
    ):
        assert (await refusal_of(call)).code is denied
    async with mesh.as_anyone(CreditsServiceStub) as anyone:
        for call in (anyone.GrantCredits(grant()), anyone.GetBalance(BALANCE)):
            assert (await refusal_of(call)).code is grpc.StatusCode.UNAUTHENTICATED


async def test_the_ledger_comes_in_pages(platform, user) -> None:
    for number in range(5):
        await platform.GrantCredits(grant(idempotency_key=f"k{number}"))
    seen, request = [], pb.ListLedgerRequest(org_id=ORG_ID, page_size=2)
    while True:
        page = await user.ListLedger(request)
        assert len(page.entries) <= 2
        seen += [entry.transaction_id for entry in page.entries]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert len(set(seen)) == len(seen) == 5
    request.page_token = "made up"
    assert (await refusal_of(user.ListLedger(request))).reason == "INVALID_PAGE_TOKEN"


async def test_concurrent_holds_over_the_wire_never_overdraw(platform, business, user) -> None:
    await platform.GrantCredits(grant())
    results = await asyncio.gather(
        *(business.HoldCredits(hold(hold_id=f"run_{number // 2}")) for number in range(20)),
        return_exceptions=True,
    )
    placed = {result.hold_id for result in results if isinstance(result, pb.Hold)}
    assert len(placed) == 2
    assert await user.GetBalance(BALANCE) == pb.Balance(
        org_id=ORG_ID, available=20, held=80, total=100
    )


async def test_the_event_of_an_organization_books_the_grant_once(
    commands, platform, user, clock
) -> None:
    job = SignUpGrants(commands, amount_credits=500)
    created = events.OrganizationCreated(org_id=ORG_ID, kind="personal", owner_user_id="usr_x")
    event = Event(UUID(int=1), ORGANIZATION_CREATED, created.SerializeToString(), delivery=1)
    await job.handle(event)
    await job.handle(event)
    # What identity books at sign-up is the same grant.
    await platform.GrantCredits(grant(amount_credits=500, note="Welcome"))
    # A redelivery after the setting was changed is no failure, or it would come for ever.
    await SignUpGrants(commands, amount_credits=400).handle(event)
    assert (await user.GetBalance(BALANCE)).total == 500


async def test_a_team_gets_no_sign_up_grant(commands, user) -> None:
    created = events.OrganizationCreated(org_id=ORG_ID, kind="team")
    event = Event(UUID(int=1), ORGANIZATION_CREATED, created.SerializeToString(), delivery=1)
    await SignUpGrants(commands, amount_credits=500).handle(event)
    assert (await user.GetBalance(BALANCE)).total == 0


async def test_captures_of_all_organizations_are_given_to_the_platform(
    platform, business, clock
) -> None:
    for number, org in enumerate((ORG_ID, OTHER_ORG_ID)):
        await platform.GrantCredits(grant(org_id=org, idempotency_key=f"grant {number}"))
        await business.HoldCredits(hold(hold_id=f"run_{number}", org_id=org))
        await business.CaptureHold(
            pb.CaptureHoldRequest(hold_id=f"run_{number}", amount_credits=10 + number)
        )
        clock.advance(seconds=60)
    since = pb.StreamCapturesRequest()
    since.since.FromDatetime(clock.now() - timedelta(seconds=60))
    everything = pb.StreamCapturesRequest(since={"seconds": 0})
    found = {}
    for request in (since, everything):
        found[request.since.seconds] = [
            (one.hold_id, one.org_id, one.amount_credits)
            async for message in platform.StreamCaptures(request)
            for one in message.captures
        ]
    assert found[0] == [("run_0", ORG_ID, 10), ("run_1", OTHER_ORG_ID, 11)]
    assert found[since.since.seconds] == found[0][1:]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        [message async for message in business.StreamCaptures(everything)]
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
