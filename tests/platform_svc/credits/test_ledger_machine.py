"""Random histories against the oracle: every answer, every balance, every invariant."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text as sql

from meshkit.errors import ServiceError
from meshkit.postgres import Database
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from platform_svc.credits.commands import CreditCommands
from platform_svc.credits.errors import (
    CaptureExceedsHold,
    HoldClosed,
    HoldIdReused,
    InsufficientCredits,
)
from platform_svc.credits.invariants import offenders
from platform_svc.credits.jobs import ExpirySweeper
from platform_svc.credits.queries import CreditQueries

from .factories import grant_request, hold_request
from .oracle import Oracle

EXAMPLES = 40
STEPS = 25
OUTCOMES: dict[type[ServiceError], str] = {
    InsufficientCredits: "insufficient",
    HoldIdReused: "reused",
    CaptureExceedsHold: "exceeds",
    HoldClosed: "closed",
}
amounts = st.integers(1, 60)
spans = st.sampled_from([5, 20, 60])


class LedgerMachine(RuleBasedStateMachine):
    """One organization's ledger; `world` gives the database and runs coroutines on its loop."""

    database: Database
    runner: asyncio.Runner
    number = 0

    holds = Bundle("holds")

    @initialize()
    def open_account(self) -> None:
        # One organization for each history, so that the histories need no cleaning.
        LedgerMachine.number += 1
        self.org_id = uuid.UUID(int=LedgerMachine.number)
        self.clock = ManualClock()
        self.start = self.clock.now()
        self.oracle = Oracle()
        self.commands = CreditCommands(self.database.sessions, self.clock.ambient)
        self.queries = CreditQueries(self.database.sessions, self.clock.ambient)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def outcome(self, done: str, work: Coroutine[Any, Any, Any]) -> str:
        try:
            self.run(work)
        except ServiceError as refusal:
            return OUTCOMES[type(refusal)]
        return done

    @rule(amount=amounts, priority=st.integers(1, 2), span=st.none() | spans, twice=st.booleans())
    def grant(self, *, amount: int, priority: int, span: int | None, twice: bool) -> None:
        key = f"{self.org_id}:{len(self.oracle.grants)}"
        expires = None if span is None else self.clock.now() + timedelta(seconds=span)
        request = grant_request(
            amount, key=key, org_id=self.org_id, priority=priority, expires_at=expires
        )
        for _ in range(2 if twice else 1):
            self.run(self.commands.grant(request))
        self.oracle.grant(key, amount, priority, span and self.oracle.now + span)

    @rule(target=holds, amount=amounts, span=spans)
    def hold(self, amount: int, span: int) -> Any:
        hold_id = f"{self.org_id}:{len(self.oracle.holds)}:{self.oracle.now}"
        return self._hold(hold_id, amount, span)

    @rule(hold_id=holds, same=st.booleans(), amount=amounts)
    def hold_again(self, *, hold_id: str, same: bool, amount: int) -> None:
        self._hold(hold_id, self.oracle.holds[hold_id].amount if same else amount, 60)

    def _hold(self, hold_id: str, amount: int, span: int) -> Any:
        request = hold_request(amount, hold_id=hold_id, org_id=self.org_id, ttl_seconds=span)
        expected = self.oracle.hold(hold_id, amount, span)
        assert self.outcome("placed", self.commands.hold(request)) == expected
        return hold_id if expected == "placed" else multiple()

    @rule(hold_id=holds, amount=amounts)
    def capture(self, hold_id: str, amount: int) -> None:
        expected = self.oracle.capture(hold_id, amount)
        assert self.outcome("captured", self.commands.capture(hold_id, amount)) == expected

    @rule(hold_id=consumes(holds))
    def capture_all_twice(self, hold_id: str) -> None:
        for _ in range(2):
            self.capture(hold_id, self.oracle.holds[hold_id].amount)

    @rule(hold_id=holds)
    def release(self, hold_id: str) -> None:
        expected = self.oracle.release(hold_id)
        assert self.outcome("released", self.commands.release(hold_id)) == expected

    @rule(seconds=st.sampled_from([1, 5, 19, 60]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)
        self.oracle.advance(seconds)

    @rule()
    def sweep(self) -> None:
        sweeper = ExpirySweeper(self.database.sessions, self.clock.ambient, timedelta(seconds=5))
        self.run(sweeper.sweep())

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "org_id"):
            balance = self.run(self.queries.balance(self.org_id))
            assert (balance.available_credits, balance.held_credits) == (
                self.oracle.available,
                self.oracle.held,
            )
            assert balance.total_credits == (
                self.oracle.granted - self.oracle.charged - self.oracle.lapsed
            )

    def teardown(self) -> None:
        if hasattr(self, "org_id"):
            self.sweep()
            self.run(self._audit())

    async def _audit(self) -> None:
        async with self.database.sessions() as session:
            assert await offenders(session, now=self.clock.now()) == {}
            totals = await session.execute(
                sql("""
                    SELECT t.kind, -sum(e.amount) FROM credits.ledger_tx t
                    JOIN credits.ledger_entry e ON e.tx_id = t.id AND e.n = 1
                    WHERE t.org_id = :org_id GROUP BY t.kind
                """),
                {"org_id": self.org_id},
            )
            booked = {kind: int(total) for kind, total in totals}
        assert booked.get("capture", 0) == self.oracle.charged
        assert booked.get("expiry", 0) == self.oracle.lapsed


@pytest.mark.slow
async def test_random_histories_agree_with_the_oracle(
    databases: Databases, credits_template: str
) -> None:
    async with databases.clone(credits_template) as url:
        # Hypothesis is synchronous, so the histories run on a loop in a thread of their own.
        await asyncio.to_thread(_explore, url)


def _explore(url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(url, schema="credits", pool_size=2)
        LedgerMachine.database, LedgerMachine.runner = database, runner
        try:
            run_state_machine_as_test(
                LedgerMachine,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    print_blob=True,
                ),
            )
        finally:
            runner.run(database.__aexit__(None, None, None))
