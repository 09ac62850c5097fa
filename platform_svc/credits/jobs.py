"""Background work of the credits service: expiry, the invariants, sign-up grants by event."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Gauge
from reelmesh.platform.organizations.v1 import organizations_events_pb2 as events
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import IdempotencyKeyReused
from meshkit.ids import parse_id
from meshkit.inbox import Event
from meshkit.tasks import periodic
from platform_svc.credits.commands import CreditCommands
from platform_svc.credits.invariants import INVARIANTS, offenders
from platform_svc.credits.ledger import sign_up_grant
from platform_svc.credits.store import CreditStore

ORGANIZATION_CREATED = "reelmesh.platform.organizations.organization_created"
ACCOUNTS_PER_ROUND = 200

OFFENDERS = Gauge("reelmesh_credits_offenders", "Rows that break an invariant", ["invariant"])

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExpirySweeper:
    """Ends holds and grants whose time is over, account by account."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    interval: timedelta

    async def run(self) -> None:
        """Sweep at each interval."""
        await periodic("credits-expiry-sweeper", self.interval.total_seconds(), self.sweep)

    async def sweep(self) -> int:
        """Settle every account that has something due; returns how many were settled.

        An account that is busy is left for the next sweep: its own calls settle it as well.
        """
        now = self.ambient.now()
        settled = 0
        seen: set[tuple[uuid.UUID, str]] = set()
        while True:
            async with self.sessions() as session:
                due = await CreditStore(session).due_accounts(now=now, count=ACCOUNTS_PER_ROUND)
            fresh = [account for account in due if account not in seen]
            if not fresh:
                return settled
            for org_id, unit in fresh:
                async with self.sessions() as session:
                    settled += await CreditStore(session).sweep(org_id, unit, now=now)
            seen.update(fresh)


@dataclass(frozen=True, slots=True)
class InvariantCheck:
    """Looks for offenders and shows their number as a metric and in the log."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    interval: timedelta

    async def run(self) -> None:
        """Check at each interval."""
        await periodic("credits-invariants", self.interval.total_seconds(), self.check)

    async def check(self) -> None:
        """Check every invariant once."""
        async with self.sessions() as session:
            found = await offenders(session, now=self.ambient.now())
        for invariant in INVARIANTS:
            OFFENDERS.labels(invariant=invariant.name).set(len(found.get(invariant.name, ())))
        for name, ids in found.items():
            logger.error("an invariant is broken", extra={"invariant": name, "offenders": ids})


@dataclass(frozen=True, slots=True)
class SignUpGrants:
    """Gives each new organization its sign-up grant, if identity could not at sign-up.

    The grant's key makes this harmless to repeat, so no inbox row is needed.
    """

    commands: CreditCommands
    amount_credits: int

    async def handle(self, event: Event) -> None:
        """Book the grant of the organization that the event names."""
        created = event.parse(events.OrganizationCreated)
        org_id = parse_id("org", created.org_id, field="org_id")
        if created.kind != "personal" or self.amount_credits == 0:
            return
        try:
            await self.commands.grant(sign_up_grant(org_id, created.org_id, self.amount_credits))
        except IdempotencyKeyReused:
            # Booked before the setting was changed; delivering this again would change nothing.
            logger.info("sign-up grant has another amount", extra={"org_id": created.org_id})
