"""Hosts services in a test as a part process would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from meshkit.bus import EventBus
from meshkit.clock import Ambient
from meshkit.config import Environment
from meshkit.object_store import S3ObjectStore
from meshkit.part import Opener, PartContext, open_services
from meshkit.stubs import MeshChannel
from meshkit.tasks import Supervisor
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve


@dataclass(frozen=True)
class PartUnderTest:
    """What a test chooses of a part; `addresses` are those of the parts that it calls."""

    name: str
    database_url: str
    identity: TestIdentity
    bus: EventBus
    variables: Mapping[str, str] = field(default_factory=dict)
    objects: S3ObjectStore | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    ambient: Ambient = field(default_factory=Ambient)


@asynccontextmanager
async def serve_part(
    under_test: PartUnderTest, openers: Sequence[Opener]
) -> AsyncIterator[ServedMesh]:
    """Open the services and serve them with every production interceptor, without migrating."""
    async with AsyncExitStack() as stack:
        identity = under_test.identity.service(under_test.name)
        part = PartContext(
            name=under_test.name,
            environment=Environment(under_test.variables),
            database_url=under_test.database_url,
            migrate=False,
            ambient=under_test.ambient,
            identity=identity,
            bus=under_test.bus,
            supervisor=Supervisor(),
            object_store=under_test.objects,
            channels={
                channel: await stack.enter_async_context(MeshChannel(address, identity))
                for channel, address in under_test.addresses.items()
            },
        )
        services = await open_services(stack, part, openers)
        part.environment.finish()
        async with serve(
            *services, identity=under_test.identity, ambient=under_test.ambient
        ) as mesh:
            yield mesh
