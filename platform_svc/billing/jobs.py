"""Background work of the billing service: what is due, credits to be booked, events to follow."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self, cast

import grpc
from reelmesh.platform.credits.v1 import credits_service_pb2 as credits_pb
from reelmesh.platform.credits.v1.credits_service_pb2_grpc import CreditsServiceStub
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import ServiceError
from meshkit.ids import format_id
from meshkit.stubs import MeshChannel, remote_reason
from meshkit.tasks import attempt, periodic
from meshkit.timestamps import timestamp
from platform_svc.billing.books import SUBSCRIPTION_KIND
from platform_svc.billing.commands import SubscriptionCommands
from platform_svc.billing.event_store import EventStore, ProviderEvent
from platform_svc.billing.providers.port import PaymentProvider
from platform_svc.billing.store import DueOrder, SubscriptionStore

if TYPE_CHECKING:  # The stub files know this type, the generated modules do not.
    from reelmesh.platform.credits.v1.credits_service_pb2_grpc import CreditsServiceAsyncStub

BATCH_MAX: Final = 50
POLL_SECONDS: Final = 1.0
CALL_SECONDS_MAX: Final = 5.0
# Longer than a call may take; what a process that dies had taken is taken again after it.
LEASE: Final = timedelta(minutes=2)
RETENTION_SECONDS: Final = 3600.0
# Stripe sends an event again for three days.
EVENTS_KEPT: Final = timedelta(days=30)
PUT_OFF: Final = timedelta(minutes=5)
# Credits of a plan burn before those that were bought and never expire.
PLAN_PRIORITY: Final = 20
# The same order will be refused the same way, however often it is made.
PERMANENT: Final = frozenset(
    {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.NOT_FOUND}
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upkeep:
    """Does what time makes due: credits, renewals, ends."""

    sessions: async_sessionmaker[AsyncSession]
    commands: SubscriptionCommands
    ambient: Ambient
    interval: timedelta

    async def run(self) -> None:
        """Look at each interval."""
        await periodic("billing-upkeep", self.interval.total_seconds(), self.look)

    async def look(self) -> int:
        """Look at each subscription that is due and say how many there were."""
        looked = 0
        while True:
            now = self.ambient.now()
            async with self.sessions() as session:
                due = await SubscriptionStore(session).due(now=now, count=BATCH_MAX)
            for org_id in due:
                if not await attempt("billing-upkeep", self.commands.look(org_id)):
                    # It must not keep the others.
                    async with self.sessions.begin() as session:
                        await SubscriptionStore(session).put_off(org_id, until=now + PUT_OFF)
            looked += len(due)
            if len(due) < BATCH_MAX:
                return looked


@dataclass(frozen=True)
class CreditOrders:
    """Has credits book what was ordered: at least once, under a key that makes it once."""

    sessions: async_sessionmaker[AsyncSession]
    credits: CreditsServiceAsyncStub
    ambient: Ambient
    made: asyncio.Event

    @classmethod
    def over(
        cls,
        channel: MeshChannel,
        sessions: async_sessionmaker[AsyncSession],
        ambient: Ambient,
        made: asyncio.Event,
    ) -> Self:
        """Make one that calls credits through the channel."""
        # The generated types tell the two kinds of stub apart by the channel's type alone.
        stub = cast("CreditsServiceAsyncStub", channel.stub(CreditsServiceStub))
        return cls(sessions, stub, ambient, made)

    async def run(self) -> None:
        """Hand over for ever: at once after an order was made here, else every second."""
        await _whenever(self.made, self.give_batch)

    async def give_batch(self) -> int:
        """Try up to 50 orders that are due and say how many there were."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            store = SubscriptionStore(session)
            due = await store.claim_orders(now=now, lease=LEASE, count=BATCH_MAX)
        for order in due:
            await self._give(order)
        return len(due)

    async def _give(self, due: DueOrder) -> None:
        state = "given"
        try:
            await self.credits.GrantCredits(_grant(due), timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            facts = {
                "order_id": str(due.id),
                "attempts": due.attempts,
                "code": error.code().name,
                "reason": remote_reason(error),
            }
            if error.code() not in PERMANENT:
                logger.warning("credits will be ordered again", extra=facts)
                async with self.sessions.begin() as session:
                    await SubscriptionStore(session).delay_order(due, now=self.ambient.now())
                return
            logger.error("an order of credits was refused for good", extra=facts)  # noqa: TRY400 - the facts say it all
            state = "refused"
        async with self.sessions.begin() as session:
            await SubscriptionStore(session).close_order(due.id, state)


@dataclass(frozen=True)
class ProviderEvents:
    """Follows the hints of a provider: asks how things stand there, and takes that over."""

    sessions: async_sessionmaker[AsyncSession]
    commands: SubscriptionCommands
    provider: PaymentProvider
    ambient: Ambient
    heard: asyncio.Event

    async def run(self) -> None:
        """Follow for ever: at once after an event came here, else every second."""
        await _whenever(self.heard, self.follow_batch)

    async def run_retention(self) -> None:
        """Forget old events, hourly."""
        await periodic("billing-event-retention", RETENTION_SECONDS, self.forget)

    async def forget(self) -> None:
        """Forget events that no provider will send again."""
        async with self.sessions.begin() as session:
            await EventStore(session).forget(before=self.ambient.now() - EVENTS_KEPT)

    async def follow_batch(self) -> int:
        """Follow up to 50 events that are due and say how many there were."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            due = await EventStore(session).claim(now=now, lease=LEASE, count=BATCH_MAX)
        for event in due:
            await self._follow(event)
        return len(due)

    async def _follow(self, event: ProviderEvent) -> None:
        try:
            ref = event.object_ref
            if event.kind != SUBSCRIPTION_KIND:
                ref = await self.provider.subscription_of(ref)
            if ref:
                await self.commands.refresh(self.provider.name, ref)
        except ServiceError as error:
            facts = {"event_id": event.id, "attempts": event.attempts, "reason": error.reason}
            logger.warning("an event will be followed again", extra=facts)
            async with self.sessions.begin() as session:
                await EventStore(session).delay(event, now=self.ambient.now())
            return
        async with self.sessions.begin() as session:
            await EventStore(session).close(event)


async def _whenever(woken: asyncio.Event, work: Callable[[], Awaitable[int]]) -> None:
    while True:
        woken.clear()
        while await work() == BATCH_MAX:
            pass
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await woken.wait()
        except TimeoutError:
            continue


def _grant(due: DueOrder) -> credits_pb.GrantCreditsRequest:
    order = due.order
    expires_at = timestamp(order.expires_at)
    return credits_pb.GrantCreditsRequest(
        org_id=format_id("org", order.org_id),
        amount_credits=order.amount_credits,
        idempotency_key=order.key,
        kind="plan",
        priority=PLAN_PRIORITY,
        expires_at=expires_at,
        note=order.note,
    )
