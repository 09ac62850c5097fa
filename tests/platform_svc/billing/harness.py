"""Billing and credits as one installation runs them, on one database and one clock."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from reelmesh.platform.billing.v1 import billing_service_pb2 as pb
from reelmesh.platform.billing.v1 import invoices_service_pb2 as invoices_pb
from reelmesh.platform.billing.v1.billing_service_pb2_grpc import BillingServiceStub
from reelmesh.platform.billing.v1.invoices_service_pb2_grpc import InvoicesServiceStub
from reelmesh.platform.credits.v1.credits_service_pb2_grpc import (
    add_CreditsServiceServicer_to_server,
)

from meshkit.ids import format_id
from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.testing.clock import ManualClock
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import ServedMesh, UserChannel, serve
from platform_svc.billing.config import BillingSettings
from platform_svc.billing.invariants import offenders
from platform_svc.billing.wiring import Billing, assemble
from platform_svc.credits import invariants as ledger_invariants
from platform_svc.credits import wiring as credits_wiring
from platform_svc.credits.commands import CreditCommands
from platform_svc.credits.jobs import ExpirySweeper
from platform_svc.credits.queries import CreditQueries
from platform_svc.credits.servicer import CreditsServicer

from .factories import OTHER_ORG

ORG = format_id("org", USER.organization_id)


@dataclass
class Installation:
    """Both services on real sockets, with what a test steers: the clock and the workers."""

    clock: ManualClock
    billing_database: Database
    credits_database: Database
    billing: Billing
    mesh: ServedMesh
    user: UserChannel
    operator: UserChannel
    stranger: UserChannel  # Of another organization.
    credits: CreditCommands
    sweeper: ExpirySweeper

    @classmethod
    async def open(
        cls,
        stack: AsyncExitStack,
        url: str,
        clock: ManualClock,
        identity: TestIdentity,
        settings: BillingSettings,
    ) -> Self:
        enter = stack.enter_async_context
        ledger = await enter(Database(url, "credits", pool_size=8))
        own = await enter(Database(url, "billing", pool_size=8))
        commands = CreditCommands(ledger.sessions, clock.ambient)
        servicer = CreditsServicer(commands, CreditQueries(ledger.sessions, clock.ambient))
        credits_mesh = await enter(
            serve(
                Service(
                    credits_wiring.SERVICE_NAME,
                    lambda server: add_CreditsServiceServicer_to_server(servicer, server),
                ),
                identity=identity,
            )
        )
        channel = await enter(credits_mesh.channel("platform"))
        billing = assemble(own, clock.ambient, settings, channel)
        mesh = await enter(serve(*billing.services, identity=identity))
        operator = replace(USER, user_id=uuid.UUID(int=77), is_operator=True)
        stranger = replace(USER, organization_id=OTHER_ORG)
        return cls(
            clock,
            own,
            ledger,
            billing,
            mesh,
            await enter(UserChannel(mesh.address, identity, USER)),
            await enter(UserChannel(mesh.address, identity, operator)),
            await enter(UserChannel(mesh.address, identity, stranger)),
            commands,
            ExpirySweeper(ledger.sessions, clock.ambient, settings.look_interval),
        )

    @property
    def plans(self) -> Any:
        return self.user.stub(BillingServiceStub)

    @property
    def invoices(self) -> Any:
        return self.user.stub(InvoicesServiceStub)

    async def change(self, plan: str, interval: str = "") -> pb.Subscription:
        request = pb.ChangeSubscriptionRequest(org_id=ORG, plan=plan, interval=interval)
        return await self.plans.ChangeSubscription(request)

    async def subscription(self) -> pb.Subscription:
        return await self.plans.GetSubscription(pb.GetSubscriptionRequest(org_id=ORG))

    async def listed(self) -> list[invoices_pb.Invoice]:
        request = invoices_pb.ListInvoicesRequest(org_id=ORG)
        return list((await self.invoices.ListInvoices(request)).invoices)

    async def pay(self, invoice_id: str) -> invoices_pb.Invoice:
        """Say, as an operator, that the money has arrived."""
        request = invoices_pb.MarkInvoicePaidRequest(invoice_id=invoice_id)
        paid = await self.operator.stub(InvoicesServiceStub).MarkInvoicePaid(request)
        await self.work()
        return paid

    async def work(self) -> None:
        """Let every worker do what is due now."""
        await self.billing.upkeep.look()
        if self.billing.followed is not None:
            await self.billing.followed.follow_batch()
        await self.billing.orders.give_batch()
        await self.sweeper.sweep()

    async def move_to(self, moment: datetime) -> None:
        """Let time pass, and then the workers."""
        self.clock.advance(seconds=(moment - self.clock.now()).total_seconds())
        await self.work()

    async def available(self) -> int:
        """Give the organization's credits as credits has them."""
        queries = CreditQueries(self.credits_database.sessions, self.clock.ambient)
        return (await queries.balance(USER.organization_id)).available_credits

    async def broken(self) -> dict[str, list[str]]:
        """Give the invariants of both services that do not hold."""
        now = self.clock.now()
        async with (
            self.billing_database.sessions() as own,
            self.credits_database.sessions() as ledger,
        ):
            return {
                **await offenders(own, now=now),
                **await ledger_invariants.offenders(ledger, now=now),
            }
