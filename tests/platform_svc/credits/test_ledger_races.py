"""Many callers at once: nothing is overdrawn, nothing is booked twice, everything adds up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from sqlalchemy import text as sql

from meshkit.errors import IdempotencyKeyReused, ServiceError
from platform_svc.credits.errors import (
    HoldClosed,
    HoldIdReused,
    InsufficientCredits,
)
from platform_svc.credits.invariants import offenders
from platform_svc.credits.ledger import Balance

from .factories import ORG, OTHER_ORG, grant_request, hold_request

WORKERS = 32
HOLDS_PER_WORKER = 20
TOTAL_CREDITS = 1200


async def test_a_race_of_32_spends_exactly_what_there_is(
    commands, queries, database, clock
) -> None:
    for number in range(3):
        await commands.grant(grant_request(TOTAL_CREDITS // 3, key=f"grant-{number}"))
    tally: Counter[str] = Counter()

    async def attempt(name: str, work) -> bool:
        try:
            await work
        except (InsufficientCredits, HoldClosed) as refusal:
            tally[refusal.reason] += 1
            return False
        tally[name] += 1
        return True

    async def worker(number: int) -> None:
        dice = random.Random(number)
        for turn in range(HOLDS_PER_WORKER):
            # Workers share half of their ids, so that duplicates race, not just repeat.
            owner = number // 2 if turn % 2 else number
            hold_id = f"run_{owner}_{turn}"
            amount = 1 + (owner * 7 + turn * 13) % 40
            placed = [
                await attempt("placed", commands.hold(hold_request(amount, hold_id=hold_id)))
                for _ in range(dice.choice((1, 1, 2)))
            ]
            if any(placed):
                for _ in range(dice.choice((1, 2))):
                    if dice.random() < 0.4:
                        await attempt("released", commands.release(hold_id))
                    else:
                        charge = dice.choice((amount, max(1, amount // 3)))
                        await attempt("captured", commands.capture(hold_id, charge))

    await asyncio.gather(*(worker(number) for number in range(WORKERS)))
    assert min(tally["placed"], tally["captured"], tally["released"]) > 0, tally
    assert tally["HOLD_CLOSED"] > 0, tally
    async with database.sessions() as session:
        assert await offenders(session, now=clock.now()) == {}
        captured = await session.scalar(sql("SELECT sum(captured) FROM credits.hold"))
        booked = await session.scalar(
            sql("SELECT sum(amount) FROM credits.ledger_entry WHERE account = 'revenue:usage'")
        )
    assert booked == captured
    assert await queries.balance(ORG) == Balance(TOTAL_CREDITS - int(captured), 0)


async def test_concurrent_holds_never_overdraw(commands, queries) -> None:
    await commands.grant(grant_request(100))
    calls = (commands.hold(hold_request(40, hold_id=f"run_{n}")) for n in range(WORKERS))
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [result for result in results if isinstance(result, InsufficientCredits)]
    assert len(results) - len(refused) == 2
    assert await queries.balance(ORG) == Balance(20, 80)


async def test_one_hold_id_at_once_from_everywhere_is_one_hold(commands, queries) -> None:
    await commands.grant(grant_request(100))
    holds = await asyncio.gather(*(commands.hold(hold_request(40)) for _ in range(WORKERS)))
    assert len(set(holds)) == 1
    assert await queries.balance(ORG) == Balance(60, 40)


async def test_two_organizations_that_race_for_a_hold_id_get_one_hold(commands, queries) -> None:
    for org_id in (ORG, OTHER_ORG):
        await commands.grant(grant_request(100, key=str(org_id), org_id=org_id))
    for turn in range(8):
        results = await asyncio.gather(
            *(
                commands.hold(hold_request(5, hold_id=f"run_{turn}", org_id=org_id))
                for org_id in (ORG, OTHER_ORG) * 4
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, HoldIdReused) for result in results) == 4, results
    both = [await queries.balance(org_id) for org_id in (ORG, OTHER_ORG)]
    assert sum(balance.held_credits for balance in both) == 8 * 5
    assert sum(balance.total_credits for balance in both) == 200


async def test_one_grant_key_at_once_is_one_grant(commands, queries) -> None:
    grants = await asyncio.gather(*(commands.grant(grant_request(100)) for _ in range(WORKERS)))
    assert len({grant.id for grant in grants}) == 1
    assert await queries.balance(ORG) == Balance(100, 0)


async def test_two_organizations_that_race_for_a_grant_key_get_one_grant(commands, queries) -> None:
    results = await asyncio.gather(
        *(commands.grant(grant_request(100, org_id=org)) for org in (ORG, OTHER_ORG) * 8),
        return_exceptions=True,
    )
    assert sum(isinstance(result, IdempotencyKeyReused) for result in results) == 8
    assert not any(isinstance(r, Exception) and not isinstance(r, ServiceError) for r in results)
    both = [await queries.balance(org_id) for org_id in (ORG, OTHER_ORG)]
    assert sum(balance.total_credits for balance in both) == 100


async def test_one_hold_captured_at_once_is_charged_once(commands, queries) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40))
    await asyncio.gather(*(commands.capture("run_1", 40) for _ in range(WORKERS)))
    assert await queries.balance(ORG) == Balance(60, 0)


async def test_capture_and_release_at_once_have_one_winner(commands, queries) -> None:
    await commands.grant(grant_request(100))
    await commands.hold(hold_request(40))
    results = await asyncio.gather(
        *(commands.capture("run_1", 40) for _ in range(8)),
        *(commands.release("run_1") for _ in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, HoldClosed) for result in results) == 8
    captured = not isinstance(results[0], HoldClosed)
    assert await queries.balance(ORG) == Balance(60 if captured else 100, 0)
