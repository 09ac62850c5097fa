"""Composition root of the assets service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from reelmesh.platform.assets.v1 import assets_service_pb2_grpc as pb_grpc
from reelmesh.platform.assets.v1 import publications_service_pb2_grpc

from meshkit.part import PartContext
from meshkit.server import Service
from platform_svc.assets.commands import AssetCommands
from platform_svc.assets.config import AssetsSettings
from platform_svc.assets.jobs import InvariantCheck, Sweeper
from platform_svc.assets.publications import Publications
from platform_svc.assets.publications_servicer import PublicationsServicer
from platform_svc.assets.queries import AssetQueries
from platform_svc.assets.servicer import AssetsServicer
from platform_svc.assets.tables import SCHEMA
from platform_svc.assets.verification import Verifier

MIGRATIONS = Path(__file__).parent / "migrations" / "versions"
SERVICE_NAME = "reelmesh.platform.assets.v1.AssetsService"
PUBLICATIONS_NAME = "reelmesh.platform.assets.v1.PublicationsService"


async def open_service(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Open the services of assets in a part; the part must have an object store."""
    settings = AssetsSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    commands = AssetCommands(
        sessions=database.sessions,
        objects=part.objects,
        verifier=Verifier(part.objects),
        ambient=part.ambient,
        upload_lifetime=settings.upload_lifetime,
    )
    queries = AssetQueries(database.sessions, part.objects, part.ambient)
    servicer = AssetsServicer(commands, queries)
    publications = PublicationsServicer(Publications(commands, queries))
    sweeper = Sweeper(database.sessions, part.objects, part.ambient, settings.sweep_interval)
    check = InvariantCheck(database.sessions, part.objects, part.ambient, settings.check_interval)
    part.supervisor.start("assets-sweeper", sweeper.run)
    part.supervisor.start("assets-invariants", check.run)
    return [
        Service(
            SERVICE_NAME,
            lambda server: pb_grpc.add_AssetsServiceServicer_to_server(servicer, server),
        ),
        Service(
            PUBLICATIONS_NAME,
            lambda server: publications_service_pb2_grpc.add_PublicationsServiceServicer_to_server(
                publications, server
            ),
        ),
    ]
