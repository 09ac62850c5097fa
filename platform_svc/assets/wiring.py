"""Composition root of the assets service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from reelmesh.platform.assets.v1 import assets_service_pb2_grpc as pb_grpc

from meshkit.part import PartContext
from meshkit.server import Service
from platform_svc.assets.commands import AssetCommands
from platform_svc.assets.config import AssetsSettings
from platform_svc.assets.jobs import InvariantCheck, Sweeper
from platform_svc.assets.queries import AssetQueries
from platform_svc.assets.servicer import AssetsServicer
from platform_svc.assets.tables import SCHEMA
from platform_svc.assets.verification import Verifier

MIGRATIONS = Path(__file__).parent / "migrations" / "versions"
SERVICE_NAME = "reelmesh.platform.assets.v1.AssetsService"


async def open_service(stack: AsyncExitStack, part: PartContext) -> Service:
    """Open the assets service in a part; the part must have an object store."""
    settings = AssetsSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    servicer = AssetsServicer(
        AssetCommands(
            sessions=database.sessions,
            objects=part.objects,
            verifier=Verifier(part.objects),
            ambient=part.ambient,
            upload_lifetime=settings.upload_lifetime,
        ),
        AssetQueries(database.sessions, part.objects, part.ambient),
    )
    sweeper = Sweeper(database.sessions, part.objects, part.ambient, settings.sweep_interval)
    check = InvariantCheck(database.sessions, part.objects, part.ambient, settings.check_interval)
    part.supervisor.start("assets-sweeper", sweeper.run)
    part.supervisor.start("assets-invariants", check.run)
    return Service(
        name=SERVICE_NAME,
        add=lambda server: pb_grpc.add_AssetsServiceServicer_to_server(servicer, server),
    )
