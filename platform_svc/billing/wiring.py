"""Composition root of the billing service."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reelmesh.platform.billing.v1.billing_service_pb2_grpc import (
    add_BillingServiceServicer_to_server,
)
from reelmesh.platform.billing.v1.invoices_service_pb2_grpc import (
    add_InvoicesServiceServicer_to_server,
)
from reelmesh.platform.billing.v1.stripe_service_pb2_grpc import (
    add_StripeServiceServicer_to_server,
)

from meshkit.clock import Ambient
from meshkit.part import PartContext
from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.stubs import MeshChannel
from platform_svc.billing.books import Books
from platform_svc.billing.catalogue import load_catalogue
from platform_svc.billing.commands import SubscriptionCommands
from platform_svc.billing.config import BillingSettings
from platform_svc.billing.documents import InvoiceDocuments
from platform_svc.billing.invariants import invariant_check
from platform_svc.billing.invoices_servicer import InvoicesServicer
from platform_svc.billing.jobs import CreditOrders, ProviderEvents, Upkeep
from platform_svc.billing.providers.manual import ManualProvider
from platform_svc.billing.providers.port import PaymentProvider
from platform_svc.billing.providers.stripe_provider import StripeProvider, open_stripe
from platform_svc.billing.providers.stripe_signature import SignedEvents
from platform_svc.billing.queries import BillingQueries
from platform_svc.billing.servicer import BillingServicer
from platform_svc.billing.stripe_servicer import StripeServicer
from platform_svc.billing.tables import SCHEMA

PACKAGE: Final = "reelmesh.platform.billing.v1"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


@dataclass(frozen=True)
class Billing:
    """What the service is made of; `followed` is None where no provider sends events."""

    services: list[Service]
    upkeep: Upkeep
    orders: CreditOrders
    followed: ProviderEvents | None


def assemble(
    database: Database, ambient: Ambient, settings: BillingSettings, platform: MeshChannel
) -> Billing:
    """Put the service together; nothing runs yet."""
    sessions, made, heard = database.sessions, asyncio.Event(), asyncio.Event()
    books = Books(load_catalogue(), settings, ambient, made)
    manual = ManualProvider(books)
    providers: dict[str, PaymentProvider] = {manual.name: manual}
    remote = _remote(settings, ambient)
    if remote is not None:
        providers[remote.name] = remote
    commands = SubscriptionCommands(sessions, books, providers)
    followed = None
    if remote is not None:
        followed = ProviderEvents(sessions, commands, remote, ambient, heard)
    signed = None if settings.stripe is None else SignedEvents(settings.stripe.webhook_secrets)
    return Billing(
        _services(commands, BillingQueries(sessions, books), settings, signed, heard),
        Upkeep(sessions, commands, ambient, settings.look_interval),
        CreditOrders.over(platform, sessions, ambient, made),
        followed,
    )


async def open_service(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Build the services and their background work."""
    settings = BillingSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    billing = assemble(database, part.ambient, settings, part.channel("platform"))
    check = invariant_check(database.sessions, part.ambient, settings)
    part.start_outbox(database)
    part.supervisor.start("billing-upkeep", billing.upkeep.run)
    part.supervisor.start("billing-credit-orders", billing.orders.run)
    if billing.followed is not None:
        part.supervisor.start("billing-provider-events", billing.followed.run)
        part.supervisor.start("billing-event-retention", billing.followed.run_retention)
    part.supervisor.start(check.task, check.run)
    return billing.services


def _remote(settings: BillingSettings, ambient: Ambient) -> StripeProvider | None:
    return None if settings.stripe is None else open_stripe(settings.stripe, ambient)


def _services(
    commands: SubscriptionCommands,
    queries: BillingQueries,
    settings: BillingSettings,
    signed: SignedEvents | None,
    heard: asyncio.Event,
) -> list[Service]:
    plans = BillingServicer(commands, queries)
    documents = InvoiceDocuments(settings.seller, settings.payment_details)
    invoices = InvoicesServicer(commands, queries, documents)
    stripe = StripeServicer(commands.sessions, commands.books.ambient, signed, heard)
    return [
        Service(
            f"{PACKAGE}.BillingService",
            lambda server: add_BillingServiceServicer_to_server(plans, server),
        ),
        Service(
            f"{PACKAGE}.InvoicesService",
            lambda server: add_InvoicesServiceServicer_to_server(invoices, server),
        ),
        Service(
            f"{PACKAGE}.StripeService",
            lambda server: add_StripeServiceServicer_to_server(stripe, server),
        ),
    ]
