"""Composition root of the assets service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from prometheus_client import Gauge
from reelmesh.platform.assets.v1.assets_service_pb2_grpc import (
    add_AssetsServiceServicer_to_server,
)
from reelmesh.platform.assets.v1.publications_service_pb2_grpc import (
    add_PublicationsServiceServicer_to_server,
)
from reelmesh.platform.assets.v1.share_links_service_pb2_grpc import (
    add_ShareLinksServiceServicer_to_server,
)
from reelmesh.platform.assets.v1.storage_service_pb2_grpc import (
    add_StorageServiceServicer_to_server,
)
from reelmesh.platform.assets.v1.trash_service_pb2_grpc import (
    add_TrashServiceServicer_to_server,
)
from reelmesh.platform.assets.v1.uploads_service_pb2_grpc import (
    add_UploadsServiceServicer_to_server,
)

from meshkit.invariants import InvariantCheck
from meshkit.multipart import MultipartUploads
from meshkit.part import PartContext
from meshkit.postgres import Database
from meshkit.server import Service
from platform_svc.assets.commands import AssetCommands, UploadPolicy
from platform_svc.assets.config import AssetsSettings
from platform_svc.assets.import_commands import ImportCommands
from platform_svc.assets.invariants import NAMES
from platform_svc.assets.jobs import Sweeper
from platform_svc.assets.parts import UploadParts
from platform_svc.assets.promotion import Promotion
from platform_svc.assets.publications import Publications
from platform_svc.assets.publications_servicer import PublicationsServicer
from platform_svc.assets.queries import AssetQueries
from platform_svc.assets.reconciliation import Reconciler
from platform_svc.assets.servicer import AssetsServicer
from platform_svc.assets.share_commands import ShareCommands
from platform_svc.assets.share_links_servicer import ShareLinksServicer
from platform_svc.assets.storage_commands import StorageCommands
from platform_svc.assets.storage_servicer import StorageServicer
from platform_svc.assets.tables import SCHEMA
from platform_svc.assets.trash_commands import TrashCommands
from platform_svc.assets.trash_servicer import TrashServicer
from platform_svc.assets.uploads_servicer import UploadsServicer
from platform_svc.assets.verification import Verifier
from platform_svc.assets.views import Views

PACKAGE: Final = "reelmesh.platform.assets.v1"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"
OFFENDERS: Final = Gauge(
    "reelmesh_assets_offenders", "Assets or objects that break an invariant", ["invariant"]
)


async def open_service(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Open the assets services in a part; the part must have an object store."""
    settings = AssetsSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    promotion = Promotion(part.objects, Verifier(part.objects))
    multiparts = MultipartUploads(part.objects)
    parts = UploadParts(database.sessions, part.objects, multiparts, part.ambient)
    reconciler = Reconciler(database.sessions, part.objects, part.ambient, settings.orphan_lifetime)
    sweeper = Sweeper(
        database.sessions,
        part.objects,
        multiparts,
        promotion,
        part.ambient,
        settings.sweep_interval,
    )
    check = InvariantCheck(
        "assets-invariants", OFFENDERS, NAMES, reconciler.offenders, settings.check_interval
    )
    part.supervisor.start("assets-sweeper", sweeper.run)
    part.supervisor.start("assets-invariants", check.run)
    return _services(
        part, database, settings, promotion=promotion, parts=parts, reconciler=reconciler
    )


def _services(
    part: PartContext,
    database: Database,
    settings: AssetsSettings,
    *,
    promotion: Promotion,
    parts: UploadParts,
    reconciler: Reconciler,
) -> list[Service]:
    sessions, objects, ambient = database.sessions, part.objects, part.ambient
    queries = AssetQueries(sessions, objects, ambient)
    views = Views(sessions, objects, ambient)
    policy = UploadPolicy(
        settings.upload_lifetime, settings.parts_lifetime, settings.part_bytes, settings.quota
    )
    commands = AssetCommands(sessions, objects, promotion, parts, ambient, policy)
    imports = ImportCommands(sessions, promotion, ambient, settings.quota)
    trash = TrashCommands(sessions, promotion, parts, ambient, settings.trash_lifetime)
    shares = ShareCommands(sessions, settings.peppers, ambient)
    storage = StorageCommands(sessions, settings.quota)
    assets_servicer = AssetsServicer(commands, imports, trash, queries, views)
    uploads_servicer = UploadsServicer(commands, parts, ambient)
    trash_servicer = TrashServicer(trash, queries, views)
    shares_servicer = ShareLinksServicer(shares, queries, views)
    storage_servicer = StorageServicer(storage, reconciler)
    publications = PublicationsServicer(Publications(imports, queries))
    return [
        Service(
            f"{PACKAGE}.AssetsService",
            lambda server: add_AssetsServiceServicer_to_server(assets_servicer, server),
        ),
        Service(
            f"{PACKAGE}.UploadsService",
            lambda server: add_UploadsServiceServicer_to_server(uploads_servicer, server),
        ),
        Service(
            f"{PACKAGE}.TrashService",
            lambda server: add_TrashServiceServicer_to_server(trash_servicer, server),
        ),
        Service(
            f"{PACKAGE}.ShareLinksService",
            lambda server: add_ShareLinksServiceServicer_to_server(shares_servicer, server),
        ),
        Service(
            f"{PACKAGE}.StorageService",
            lambda server: add_StorageServiceServicer_to_server(storage_servicer, server),
        ),
        Service(
            f"{PACKAGE}.PublicationsService",
            lambda server: add_PublicationsServiceServicer_to_server(publications, server),
        ),
    ]
