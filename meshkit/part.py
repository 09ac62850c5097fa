"""Starts a part: one process that hosts some services, with all they share."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from meshkit import telemetry
from meshkit.authorization import Authorizer, NoOrganizations
from meshkit.bus import EventBus
from meshkit.clock import Ambient
from meshkit.config import Environment, InvalidConfiguration
from meshkit.errors import Unavailable
from meshkit.memberships import MembershipAuthorizer
from meshkit.migrations import upgrade
from meshkit.object_store import S3ObjectStore, S3Settings
from meshkit.outbox import OutboxRelay
from meshkit.postgres import Database, database_url
from meshkit.readiness import Probe, Readiness
from meshkit.retention import Retention
from meshkit.server import AddressUnavailable, MeshServer, ServerSettings, Service, run
from meshkit.stubs import MeshChannel
from meshkit.tasks import Supervisor
from meshkit.tokens import DEFAULT_AUDIENCE, DEFAULT_ISSUER, ServiceIdentity, TokenVerifier

BAD_CONFIGURATION_STATUS: Final = 2
# The part that hosts the organizations service.
ORGANIZATIONS_PART: Final = "platform"
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartSettings:
    """What every part reads from its environment."""

    server: ServerSettings
    database_url: str
    migrate: bool
    nats_url: str
    log_level: str
    jwks_file: Path
    service_jwks_file: Path
    service_key_file: Path
    token_issuer: str
    s3: S3Settings | None
    addresses: Mapping[str, str]

    @classmethod
    def from_environment(
        cls, environment: Environment, *, channels: Sequence[str], objects: bool
    ) -> PartSettings:
        """Read the settings; `channels` are the parts that are called, by name."""
        return cls(
            server=ServerSettings(
                listen=environment.text("REELMESH_LISTEN"),
                metrics_listen=environment.text("REELMESH_METRICS_LISTEN", default="") or None,
                drain_seconds=environment.number(
                    "REELMESH_DRAIN_SECONDS", minimum=0, maximum=300, default=10
                ),
            ),
            database_url=database_url(environment),
            migrate=environment.flag("REELMESH_MIGRATE", default=False),
            nats_url=environment.text("REELMESH_NATS_URL"),
            log_level=environment.choice("REELMESH_LOG_LEVEL", choices=LOG_LEVELS, default="INFO"),
            jwks_file=environment.path("REELMESH_JWKS_FILE"),
            service_jwks_file=environment.path("REELMESH_SERVICE_JWKS_FILE"),
            service_key_file=environment.path("REELMESH_SERVICE_KEY_FILE"),
            token_issuer=environment.text("REELMESH_TOKEN_ISSUER", default=DEFAULT_ISSUER),
            s3=S3Settings.from_environment(environment) if objects else None,
            addresses={
                channel: environment.text(f"REELMESH_{channel.upper()}_ADDRESS")
                for channel in channels
            },
        )


@dataclass(frozen=True)
class PartContext:
    """What the services of one process share; built once, given to each service's opener."""

    name: str
    environment: Environment
    database_url: str
    migrate: bool
    ambient: Ambient
    identity: ServiceIdentity
    bus: EventBus
    supervisor: Supervisor
    object_store: S3ObjectStore | None
    channels: Mapping[str, MeshChannel]
    probes: list[Probe] = field(default_factory=list)  # Of what the part cannot serve without.

    @cached_property
    def authorizer(self) -> Authorizer:
        """Who decides what users may do: organizations, for parts that may call platform."""
        platform = self.channels.get(ORGANIZATIONS_PART)
        return NoOrganizations() if platform is None else MembershipAuthorizer.over(platform)

    @property
    def objects(self) -> S3ObjectStore:
        """The object store, for parts that asked for it."""
        assert self.object_store is not None, "start the part with objects=True"
        return self.object_store

    def channel(self, name: str) -> MeshChannel:
        """Give the channel to another part, for parts that asked for it."""
        assert name in self.channels, f"start the part with {name} among its channels"
        return self.channels[name]

    async def open_database(
        self, stack: AsyncExitStack, schema: str, versions_folder: Path, *, pool_size: int = 10
    ) -> Database:
        """Open a service's schema: migrated if the part says so, reachable, swept hourly.

        The part is healthy only while it can reach the database.
        """
        if self.migrate:
            await upgrade(self.database_url, schema, versions_folder)
        database = await stack.enter_async_context(
            Database(self.database_url, schema, pool_size=pool_size)
        )
        await database.ping()
        self.probes.append(database.probe)
        self.supervisor.start(f"{schema}-retention", Retention(database).run)
        return database

    def start_outbox(self, database: Database) -> None:
        """Publish the events of a schema's outbox from now on."""
        self.supervisor.start(
            f"{database.schema}-outbox-relay", OutboxRelay(database, self.bus).run
        )


Opened = Service | Sequence[Service]
Opener = Callable[[AsyncExitStack, PartContext], Awaitable[Opened]]


def run_part(
    name: str,
    openers: Sequence[Opener],
    *,
    settings: Sequence[Callable[[Environment], object]] = (),
    channels: Sequence[str] = (),
    objects: bool = False,
) -> None:
    """Run a part until it is told to stop; the whole of a process's main function.

    `settings` are the readers of the services' own settings. They are called before anything is
    opened, so that one start reports every problem of the configuration; the openers read again.
    Ends the process with status 2 if the configuration is bad, and 1 if the part cannot listen or
    something that it needs is away.
    """
    environment = Environment(os.environ)
    part_settings = PartSettings.from_environment(environment, channels=channels, objects=objects)
    for read in settings:
        read(environment)
    try:
        environment.finish()
    except InvalidConfiguration as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(BAD_CONFIGURATION_STATUS)
    telemetry.configure(name, log_level=part_settings.log_level)
    try:
        run(lambda: _serve(name, environment, part_settings, openers))
    except (AddressUnavailable, Unavailable, OSError) as error:
        _log.error("the part could not start", extra={"part": name, "error": repr(error)})
        sys.exit(f"{name} could not start: {error}")


async def open_services(
    stack: AsyncExitStack, part: PartContext, openers: Sequence[Opener]
) -> list[Service]:
    """Open every service, then start the background loops; the stack ends them first."""
    services: list[Service] = []
    for opener in openers:
        opened = await opener(stack, part)
        services.extend([opened] if isinstance(opened, Service) else opened)
    await stack.enter_async_context(part.supervisor)
    return services


async def _serve(
    name: str, environment: Environment, settings: PartSettings, openers: Sequence[Opener]
) -> None:
    verifier = TokenVerifier(
        settings.jwks_file, settings.service_jwks_file, settings.token_issuer, DEFAULT_AUDIENCE
    )
    async with AsyncExitStack() as stack:
        part = await _open_part(stack, name, environment, settings)
        services = await open_services(stack, part, openers)
        server = await stack.enter_async_context(
            MeshServer(
                settings.server,
                services,
                verifier,
                part.authorizer,
                f"{name}.reelmesh",
                ambient=part.ambient,
            )
        )
        part.supervisor.start("readiness", Readiness(part.probes, server).run)
        _log.info("part started", extra={"part": name, "services": [one.name for one in services]})
        await server.serve_until_stopped()
    _log.info("part stopped", extra={"part": name})


async def _open_part(
    stack: AsyncExitStack, name: str, environment: Environment, settings: PartSettings
) -> PartContext:
    ambient = Ambient()
    identity = ServiceIdentity(name, settings.service_key_file, ambient=ambient)
    store = None
    if settings.s3 is not None:
        store = await stack.enter_async_context(S3ObjectStore(settings.s3))
        if settings.migrate:
            await store.ensure_bucket()
    return PartContext(
        name=name,
        environment=environment,
        database_url=settings.database_url,
        migrate=settings.migrate,
        ambient=ambient,
        identity=identity,
        bus=await stack.enter_async_context(EventBus(settings.nats_url)),
        supervisor=Supervisor(),
        object_store=store,
        channels={
            channel: await stack.enter_async_context(MeshChannel(address, identity))
            for channel, address in settings.addresses.items()
        },
    )
