"""The ledger's operations on a real Postgres: outcomes, burn order, expiry, refusals."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError

from meshkit.errors import IdempotencyKeyReused, InvalidRequest
from meshkit.migrations import downgrade, drift, upgrade
from platform_svc.credits.commands import ACCOUNT_CREDITS_MAX
from platform_svc.credits.errors import (
    AccountFull,
    CaptureExceedsHold,
    HoldClosed,
    HoldIdReused,
    HoldNotFound,
    InsufficientCredits,
)
from platform_svc.credits.invariants import offenders
from platform_svc.credits.jobs import ExpirySweeper, InvariantCheck
from platform_svc.credits.ledger import Balance, HoldState, PostingKind
from platform_svc.credits.tables import Base, HoldAllocationRow, LedgerEntryRow, LedgerTxRow
from platform_svc.credits.wiring import MIGRATIONS

from .factories import ORG, OTHER_ORG, grant_request, hold_request


@pytest.fixture(autouse=True)
async def sound(database, clock):
    """Whatever a test did, the invariants hold when it ends."""
    yield
    async with database.sessions() as session:
        assert await offenders(session, now=clock.now()) == {}


async def test_migrations_agree_with_the_tables(database) -> None:
    assert await drift(database.url, Base.metadata) == []


async def test_migrations_can_be_undone_and_done_again(database) -> None:
    await downgrade(database.url, "credits", MIGRATIONS, "base")
    await upgrade(database.url, "credits", MIGRATIONS)
    assert await drift(database.url, Base.metadata) == []


async def test_an_unknown_organization_has_nothing(commands, queries) -> None:
    assert await queries.balance(ORG) == Balance(0, 0)
    with pytest.raises(InsufficientCredits):
        await commands.hold(hold_request(1))


async def test_a_grant_is_booked_once_per_key(commands, queries) -> None:
    first = await commands.grant(grant_request(100))
    assert await commands.grant(grant_request(100)) == first
    assert await queries.balance(ORG) == Balance(100, 0)


@pytest.mark.parametrize(
    "other",
    [
        grant_request(101),
        grant_request(100, org_id=OTHER_ORG),
        grant_request(100, priority=1),
        grant_request(100, note="another"),
    ],
)
async def test_a_key_names_one_grant(commands, queries, other) -> None:
    await commands.grant(grant_request(100))
    with pytest.raises(IdempotencyKeyReused):
        await commands.grant(other)
    assert await queries.balance(OTHER_ORG) == Balance(0, 0)


async def test_a_grant_may_not_be_over_already(commands, clock) -> None:
    with pytest.raises(InvalidRequest):
        await commands.grant(grant_request(expires_at=clock.now()))


async def test_a_grant_is_repeatable_after_its_end(commands, clock) -> None:
    request = grant_request(expires_at=clock.now() + timedelta(seconds=10))
    first = await commands.grant(request)
    clock.advance(seconds=10)
    again = await commands.grant(request)
    assert (again.id, again.remaining_credits) == (first.id, 0)


async def test_an_account_has_a_limit(commands, queries) -> None:
    await commands.grant(grant_request(ACCOUNT_CREDITS_MAX - 1))
    with pytest.raises(AccountFull):
        await commands.grant(grant_request(2, key="grant-2"))
    await commands.grant(grant_request(1, key="grant-3"))
    assert await queries.balance(ORG) == Balance(ACCOUNT_CREDITS_MAX, 0)


async def test_a_hold_moves_credits_aside(commands, queries, clock) -> None:
    await commands.grant(grant_request(100))
    hold = await commands.hold(hold_request(40, ttl_seconds=60))
    assert hold.state is HoldState.PENDING
    assert hold.expires_at == clock.now() + timedelta(seconds=60)
    assert await queries.balance(ORG) == Balance(60, 40)


async def test_a_hold_is_placed_once_per_id(commands, queries) -> None:
    await commands.grant(grant_request(100))
    first = await commands.hold(hold_request(40))
    assert await commands.hold(hold_request(40)) == first
    # Also when nothing more is available: the answer is about the hold that exists.
    await commands.hold(hold_request(60, hold_id="run_2"))
    assert await commands.hold(hold_request(40)) == first
    assert await queries.balance(ORG) == Balance(0, 100)


@pytest.mark.parametrize(
    "other", [hold_request(41), hold_request(40, org_id=OTHER_ORG), hold_request(1)]
)
async def test_a_hold_id_names_one_hold(commands, other) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40))
    with pytest.raises(HoldIdReused):
        await commands.hold(other)


async def test_a_refused_hold_names_the_balance(commands, queries) -> None:
    await commands.grant(grant_request(10))
    with pytest.raises(InsufficientCredits) as refused:
        await commands.hold(hold_request(11))
    assert refused.value.metadata == {"available_credits": "10", "requested_credits": "11"}
    assert await queries.balance(ORG) == Balance(10, 0)


async def test_a_capture_charges_part_and_frees_the_rest(commands, queries) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40))
    hold = await commands.capture("run_1", 15)
    assert (hold.state, hold.captured_credits) == (HoldState.CAPTURED, 15)
    assert await queries.balance(ORG) == Balance(85, 0)


async def test_a_capture_happens_once(commands, queries) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40))
    first = await commands.capture("run_1", 15)
    assert await commands.capture("run_1", 15) == first
    with pytest.raises(HoldClosed) as refused:
        await commands.capture("run_1", 16)
    assert refused.value.metadata["captured_credits"] == "15"
    assert await queries.balance(ORG) == Balance(85, 0)


async def test_a_capture_stays_within_its_hold(commands, queries) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40))
    with pytest.raises(CaptureExceedsHold):
        await commands.capture("run_1", 41)
    assert await queries.balance(ORG) == Balance(60, 40)


async def test_a_release_gives_everything_back_once(commands, queries) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40))
    first = await commands.release("run_1")
    assert first.state is HoldState.RELEASED
    assert await commands.release("run_1") == first
    assert await queries.balance(ORG) == Balance(100, 0)


async def test_what_was_released_cannot_be_captured(commands, queries) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40))
    await commands.release("run_1")
    with pytest.raises(HoldClosed):
        await commands.capture("run_1", 40)
    assert await queries.balance(ORG) == Balance(100, 0)


async def test_what_was_captured_cannot_be_released(commands, queries) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40))
    await commands.capture("run_1", 40)
    with pytest.raises(HoldClosed):
        await commands.release("run_1")
    assert await queries.balance(ORG) == Balance(60, 0)


async def test_an_unknown_hold_is_not_found(commands) -> None:
    with pytest.raises(HoldNotFound):
        await commands.capture("run_9", 1)
    with pytest.raises(HoldNotFound):
        await commands.release("run_9")


async def test_grants_burn_by_priority_then_expiry_then_age(commands, database, clock) -> None:
    soon, later = (clock.now() + timedelta(days=days) for days in (1, 2))
    oldest = await commands.grant(grant_request(10, key="never"))
    second = await commands.grant(grant_request(10, key="later", expires_at=later))
    first = await commands.grant(grant_request(10, key="soon", expires_at=soon))
    newest = await commands.grant(grant_request(10, key="never too"))
    preferred = await commands.grant(grant_request(10, key="first of all", priority=1))
    await commands.hold(hold_request(45))
    await commands.capture("run_1", 25)
    async with database.sessions() as session:
        rows = await session.scalars(select(HoldAllocationRow))
        drawn = {row.grant_id: (row.amount, row.captured) for row in rows}
    assert drawn == {
        preferred.id: (10, 10),
        first.id: (10, 10),
        second.id: (10, 5),
        oldest.id: (10, 0),
        newest.id: (5, 0),
    }


async def test_an_overdue_hold_counts_as_free_before_any_sweep(commands, queries, clock) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(100, ttl_seconds=60))
    clock.advance(seconds=60)
    assert await queries.balance(ORG) == Balance(100, 0)
    await commands.hold(hold_request(100, hold_id="run_2"))
    assert (await commands.release("run_1")).state is HoldState.EXPIRED


async def test_an_overdue_hold_cannot_be_captured(commands, queries, clock) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40, ttl_seconds=60))
    clock.advance(seconds=61)
    with pytest.raises(HoldClosed) as refused:
        await commands.capture("run_1", 40)
    assert refused.value.metadata["state"] == "expired"
    assert await queries.balance(ORG) == Balance(100, 0)


async def test_a_grant_past_its_end_breaks_but_for_what_is_held(commands, queries, clock) -> None:
    end = clock.now() + timedelta(seconds=30)
    await commands.grant(grant_request(100, expires_at=end))
    await commands.hold(hold_request(40, ttl_seconds=60))
    clock.advance(seconds=30)
    assert await queries.balance(ORG) == Balance(0, 40)
    await commands.capture("run_1", 10)
    assert await queries.balance(ORG) == Balance(0, 0)
    page = await queries.ledger(ORG, page_size=10, page_token="")
    assert [(p.kind, p.amount_credits) for p in page.postings] == [
        (PostingKind.EXPIRY, -30),
        (PostingKind.CAPTURE, -10),
        (PostingKind.EXPIRY, -60),
        (PostingKind.GRANT, 100),
    ]


async def test_the_sweeper_ends_what_is_due(commands, database, clock) -> None:
    end = clock.now() + timedelta(seconds=30)
    for number, org_id in enumerate((ORG, OTHER_ORG)):
        await commands.grant(grant_request(100, key=f"g{number}", org_id=org_id, expires_at=end))
        await commands.hold(hold_request(hold_id=f"run_{number}", org_id=org_id, ttl_seconds=60))
    sweeper = ExpirySweeper(database.sessions, clock.ambient, timedelta(seconds=5))
    assert await sweeper.sweep() == 0
    clock.advance(seconds=3600)
    async with database.sessions() as session:
        # The grants as well: what they do not hold was over half a minute before the holds.
        assert list(await offenders(session, now=clock.now())) == [
            "I8 no hold is pending long after its end",
            "I9 what is over of a grant has expired",
        ]
    assert await sweeper.sweep() == 2
    assert await sweeper.sweep() == 0
    async with database.sessions() as session:
        held = await session.execute(sql("SELECT sum(posted), sum(held) FROM credits.account"))
        assert tuple(held.one()) == (0, 0)


async def test_the_sweeper_leaves_a_busy_account(commands, database, clock) -> None:
    await commands.grant(grant_request(expires_at=clock.now() + timedelta(seconds=1)))
    clock.advance(seconds=2)
    sweeper = ExpirySweeper(database.sessions, clock.ambient, timedelta(seconds=5))
    async with database.sessions.begin() as session:
        await session.execute(sql("SELECT 1 FROM credits.account FOR UPDATE"))
        assert await sweeper.sweep() == 0
    assert await sweeper.sweep() == 1


async def test_the_ledger_is_paged_newest_first(commands, queries) -> None:
    for number in range(5):
        await commands.grant(grant_request(number + 1, key=f"g{number}"))
    await commands.grant(grant_request(9, key="other", org_id=OTHER_ORG))
    amounts, token = [], ""
    while True:
        page = await queries.ledger(ORG, page_size=2, page_token=token)
        amounts += [posting.amount_credits for posting in page.postings]
        token = page.next_page_token
        if not token:
            break
    assert amounts == [5, 4, 3, 2, 1]


async def test_an_unbalanced_posting_cannot_be_committed(commands, database) -> None:
    await commands.grant(grant_request(100))
    async with database.sessions() as session:
        tx_id = await session.scalar(select(LedgerTxRow.id))
        session.add(LedgerEntryRow(tx_id=tx_id, n=3, account="x", unit="credit", amount=1))
        await session.flush()
        with pytest.raises(DBAPIError, match="sum to 1"):
            await session.commit()


async def test_a_broken_invariant_is_shown(commands, database, clock, caplog) -> None:
    await commands.grant(grant_request(100))
    check = InvariantCheck(database.sessions, clock.ambient, timedelta(hours=1))
    await check.check()
    assert "an invariant is broken" not in caplog.messages
    async with database.sessions.begin() as session:
        await session.execute(sql("UPDATE credits.account SET posted = 101"))
    await check.check()
    broken = {record.invariant[:2] for record in caplog.records}
    assert broken == {"I2", "I4"}
    async with database.sessions.begin() as session:
        await session.execute(sql("UPDATE credits.account SET posted = 100"))


async def test_credits_that_vanish_from_a_grant_are_noticed(commands, database, clock) -> None:
    end = clock.now() + timedelta(seconds=30)
    await commands.grant(grant_request(100, expires_at=end))
    await commands.hold(hold_request(40))
    await commands.capture("run_1", 25)
    clock.advance(seconds=31)
    await commands.grant(grant_request(10, key="g2"))  # Settles the account.
    async with database.sessions() as session:
        assert await offenders(session, now=clock.now()) == {}
        await session.execute(sql("UPDATE credits.hold_allocation SET captured = 24"))
        assert "I10 what left a grant was captured by holds or has expired" in await offenders(
            session, now=clock.now()
        )
        await session.rollback()


async def test_grants_are_shown_in_the_order_in_which_they_burn(commands, queries, clock) -> None:
    soon, late = (clock.now() + timedelta(days=days) for days in (1, 60))
    wanted = [
        grant_request(1, key="sooner", priority=20, expires_at=soon),
        grant_request(2, key="later", priority=20, expires_at=late),
        grant_request(3, key="never", priority=20),
        grant_request(4, key="after", priority=50, expires_at=soon),
    ]
    for request in reversed(wanted):
        await commands.grant(request)
    await commands.grant(grant_request(9, key="other", org_id=OTHER_ORG))
    shown, token = [], ""
    for _ in range(4):
        page, token = await queries.grants(ORG, page_size=1, page_token=token)
        shown += page
    assert ([one.amount_credits for one in shown], token) == ([1, 2, 3, 4], "")

    # The order is what it says: six credits empty the first three.
    await commands.hold(hold_request(6))
    await commands.capture("run_1", 6)
    page, _ = await queries.grants(ORG, page_size=10, page_token="")
    assert [(one.amount_credits, one.priority) for one in page] == [(4, 50)]
    clock.advance(seconds=24 * 3600)
    assert await queries.grants(ORG, page_size=10, page_token="") == ([], "")


async def test_a_forged_posting_breaks_the_chain(commands, database, clock) -> None:
    for number in range(3):
        await commands.grant(grant_request(10, key=f"g{number}"))
    async with database.sessions() as session:
        await session.execute(sql("ALTER TABLE credits.ledger_tx DISABLE TRIGGER USER"))
        await session.execute(sql("UPDATE credits.ledger_tx SET note = 'x' WHERE seq = 2"))
        assert list(await offenders(session, now=clock.now())) == [
            "I7 the hash chain of each account verifies"
        ]
        await session.rollback()


@pytest.mark.parametrize("table", ["ledger_tx", "ledger_entry"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET unit = 'x'"])
async def test_the_ledger_is_append_only(commands, database, table, change) -> None:
    await commands.grant(grant_request(100))
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.sessions.begin() as session:
            await session.execute(sql(change.format(f"credits.{table}")))
