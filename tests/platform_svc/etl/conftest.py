"""A lake of the test's own: its stream, its catalogue, and a real ledger."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from reelmesh.platform.credits.v1.credits_service_pb2_grpc import (
    add_CreditsServiceServicer_to_server,
)

from meshkit.bus import EventBus
from meshkit.clock import Ambient
from meshkit.object_store import S3ObjectStore, S3Settings
from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.nats import NatsServer
from meshkit.testing.servers import serve
from platform_svc.credits import wiring as credits_wiring
from platform_svc.credits.commands import CreditCommands
from platform_svc.credits.queries import CreditQueries
from platform_svc.credits.servicer import CreditsServicer
from platform_svc.etl import wiring as etl

from .world import World

# As the loader's own process does: else PyArrow looks for credentials in the cloud.
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
async def etl_template(databases: Databases) -> str:
    return await databases.template({"etl": etl.MIGRATIONS, "credits": credits_wiring.MIGRATIONS})


@pytest.fixture(scope="session")
async def lake_settings(s3_settings: S3Settings) -> S3Settings:
    settings = replace(s3_settings, bucket="lake-under-test")
    async with S3ObjectStore(settings) as store:
        await store.ensure_bucket()
    return settings


@pytest.fixture
async def etl_url(databases: Databases, etl_template: str) -> AsyncIterator[str]:
    async with databases.clone(etl_template) as url:
        yield url


@pytest.fixture
async def database(etl_url: str) -> AsyncIterator[Database]:
    async with Database(etl_url, "etl") as database:
        yield database


@pytest.fixture
async def own_nats() -> AsyncIterator[NatsServer]:
    """A server whose stream holds what the test publishes and nothing else."""
    server = NatsServer()
    try:
        await server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def world(
    etl_url, own_nats, lake_settings, identity: TestIdentity, tmp_path
) -> AsyncIterator[World]:
    async with (
        EventBus(own_nats.url) as bus,
        Database(etl_url, "credits", pool_size=4) as ledger,
    ):
        await bus.connected()
        credit = CreditCommands(ledger.sessions, Ambient())
        servicer = CreditsServicer(credit, CreditQueries(ledger.sessions, Ambient()))
        service = Service(
            credits_wiring.SERVICE_NAME,
            lambda server: add_CreditsServiceServicer_to_server(servicer, server),
        )
        async with serve(service, identity=identity) as mesh:
            yield World(
                *(etl_url, own_nats.url, bus, lake_settings, identity),
                mesh.address,
                credit,
                tmp_path,
            )
