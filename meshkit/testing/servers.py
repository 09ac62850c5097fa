"""Real servers on real sockets for tests, with the interceptors of production."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from opentelemetry import trace

from meshkit.authorization import Authorizer
from meshkit.clock import Ambient
from meshkit.context import UserPrincipal
from meshkit.server import MeshServer, ServerSettings, Service
from meshkit.stubs import MeshChannel
from meshkit.testing.authorization import ActiveOrganizationAuthorizer
from meshkit.testing.fakes import FakeServicer
from meshkit.testing.identity import USER, TestIdentity

__all__ = ["FakeServicer", "ServedMesh", "serve"]

DOMAIN = "test.reelmesh"
StubT = TypeVar("StubT")


@dataclass(frozen=True, slots=True)
class ServedMesh:
    """A running server and the keys that it trusts."""

    server: MeshServer
    identity: TestIdentity

    @property
    def address(self) -> str:
        """Where the server listens, as host:port."""
        return f"127.0.0.1:{self.server.port}"

    def channel(self, service: str | None = None) -> MeshChannel:
        """Return a channel that calls as the service, or without credentials."""
        identity = None if service is None else self.identity.service(service)
        return MeshChannel(self.address, identity)

    @asynccontextmanager
    async def as_service(
        self, stub_class: Callable[[Any], StubT], service: str
    ) -> AsyncIterator[StubT]:
        """Give a stub that calls as the service."""
        async with self.channel(service) as channel:
            yield channel.stub(stub_class)

    @asynccontextmanager
    async def as_user(
        self, stub_class: Callable[[Any], StubT], user: UserPrincipal = USER
    ) -> AsyncIterator[StubT]:
        """Give a stub that calls as the user."""
        async with UserChannel(self.address, self.identity, user) as channel:
            yield channel.stub(stub_class)

    @asynccontextmanager
    async def as_anyone(self, stub_class: Callable[[Any], StubT]) -> AsyncIterator[StubT]:
        """Give a stub that calls without credentials."""
        async with self.channel() as channel:
            yield channel.stub(stub_class)


class UserChannel(MeshChannel):
    """A channel that calls as a user, as the edge would."""

    def __init__(self, address: str, identity: TestIdentity, user: UserPrincipal) -> None:
        super().__init__(address, None)
        self._user_metadata = identity.user_metadata(user)

    def metadata(self, given: Any) -> list[tuple[str, str]]:
        """Return the metadata of a call, with the user's token."""
        return [*super().metadata(given), *self._user_metadata]


@asynccontextmanager
async def serve(
    *services: Service,
    identity: TestIdentity,
    authorizer: Authorizer | None = None,
    settings: ServerSettings | None = None,
    ambient: Ambient | None = None,
    tracer_provider: trace.TracerProvider | None = None,
) -> AsyncIterator[ServedMesh]:
    """Serve the services on a free port of 127.0.0.1 with every production interceptor."""
    server = MeshServer(
        settings or ServerSettings(drain_seconds=0),
        services,
        identity.verifier(),
        authorizer or ActiveOrganizationAuthorizer(),
        DOMAIN,
        ambient=ambient,
        tracer_provider=tracer_provider,
    )
    async with server:
        yield ServedMesh(server, identity)
