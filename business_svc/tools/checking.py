"""Compares runs with the credits' ledger and checks all that must hold of runs."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from business_svc.tools import invariants
from business_svc.tools.config import ToolsSettings
from business_svc.tools.credits import Capture, Credits
from business_svc.tools.runs import Phase, Run, State
from business_svc.tools.store import RunStore
from meshkit.clock import Ambient
from meshkit.errors import InvalidId
from meshkit.ids import format_id, parse_id
from meshkit.invariants import InvariantCheck

CAPTURE_WITHOUT_RUN: Final = "every captured credit belongs to one succeeded run"
RUN_WITHOUT_CAPTURE: Final = "every charged run has its capture in the ledger"
# Each round looks this far back, which is many rounds: a fault is seen even if some are missed.
LOOK_BACK: Final = timedelta(days=1)
# A capture is booked before its run is recorded as settled: a moment, or as long as this service
# was away in between.
SETTLING: Final = timedelta(hours=12)
ORGANIZATIONS_MAX: Final = 10_000

OFFENDERS = Gauge("reelmesh_tools_offenders", "Runs that break an invariant", ["invariant"])


@dataclass(frozen=True, slots=True)
class LedgerComparison:
    """Looks at the runs of the last day and at the ledgers of the organizations that own them."""

    sessions: async_sessionmaker[AsyncSession]
    credits: Credits
    ambient: Ambient

    async def offenders(self) -> dict[str, list[str]]:
        """Give the runs that break either fact, by its name."""
        now = self.ambient.now()
        since = now - LOOK_BACK
        async with self.sessions() as session:
            organizations = await RunStore(session).organizations_since(
                since, count=ORGANIZATIONS_MAX
            )
        found: dict[str, list[str]] = defaultdict(list)
        for organization_id in organizations:
            await self._compare(organization_id, since, found)
        return dict(found)

    async def _compare(
        self, organization_id: uuid.UUID, since: datetime, found: dict[str, list[str]]
    ) -> None:
        # The runs first: a run that is charged now has its capture when the ledger is read.
        async with self.sessions() as session:
            charged = await RunStore(session).charged_since(organization_id, since + SETTLING)
        captures = [one async for one in self.credits.captures(organization_id, since=since)]
        times = Counter(capture.hold_id for capture in captures)
        for capture in captures:
            run = await self._run_of(capture)
            is_right = run is not None and _is_charged(run, organization_id, capture)
            if not is_right or times[capture.hold_id] > 1:
                found[CAPTURE_WITHOUT_RUN].append(capture.hold_id)
        for name in (format_id("run", run_id) for run_id in charged):
            if name not in times:
                found[RUN_WITHOUT_CAPTURE].append(name)

    async def _run_of(self, capture: Capture) -> Run | None:
        try:
            run_id = parse_id("run", capture.hold_id, field="hold_id")
        except InvalidId:
            return None
        async with self.sessions() as session:
            return await RunStore(session).find(run_id)


def invariant_check(
    sessions: async_sessionmaker[AsyncSession],
    credit: Credits,
    ambient: Ambient,
    settings: ToolsSettings,
) -> InvariantCheck:
    """Give what looks for offenders at each interval."""
    ledger = LedgerComparison(sessions, credit, ambient)
    # A run that outlived its hold cannot be charged any more.
    settled_within = settings.hold_for

    async def look() -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        now = ambient.now()
        async with sessions() as session:
            for offender in await invariants.offenders(
                session, now=now, settled_within=settled_within
            ):
                found[offender.fact].append(format_id("run", offender.run_id))
        return found | await ledger.offenders()

    facts = invariants.facts(ambient.now(), settled_within=settled_within)
    names = [*facts, CAPTURE_WITHOUT_RUN, RUN_WITHOUT_CAPTURE]
    return InvariantCheck("tools-invariants", OFFENDERS, names, look, settings.check_interval)


def _is_charged(run: Run, organization_id: uuid.UUID, capture: Capture) -> bool:
    """Whether the run is, or is about to be, charged what the ledger says."""
    return (
        run.organization_id == organization_id
        and run.verdict is State.SUCCEEDED
        and capture.amount_credits
        == (run.charged_credits if run.phase is Phase.SETTLED else run.due_credits)
    )
