"""Every public method against everybody who must not call it, through a real edge.

Roles, keys, their exchange and the interceptors are the real ones; only what lies behind them is
fake, and tells whether a call got through.
"""

from __future__ import annotations

import asyncio
import importlib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import grpc
import httpx
import pytest
from envoy_ext_authz.v3.external_auth_pb2_grpc import add_AuthorizationServicer_to_server
from reelmesh.business.tools.v1 import tools_service_pb2, tools_service_pb2_grpc
from reelmesh.platform.access.v1 import access_service_pb2
from reelmesh.platform.organizations.v1.members_service_pb2_grpc import MembersServiceStub

from gateway.descriptors import Descriptors, authorization_pb2
from gateway.routes import Route, is_public, read_routes
from gateway.topology import Address, Endpoint, Upstream
from meshkit.idempotency import Call
from meshkit.ids import format_id
from meshkit.memberships import MembershipAuthorizer
from meshkit.peppers import Peppers
from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.testing.clock import START
from meshkit.testing.fakes import FakeServicer
from meshkit.testing.identity import USER, TestIdentity
from meshkit.testing.servers import serve
from platform_svc.access import wiring as access
from platform_svc.access.check_servicer import CheckServicer
from platform_svc.access.commands import AccessCommands
from platform_svc.access.exchange import KeyExchange
from platform_svc.access.key import PERSONAL_SCOPES, Wanted
from platform_svc.access.usage import KeyUsage
from platform_svc.organizations import wiring as organizations
from platform_svc.organizations.commands import OrganizationCommands
from platform_svc.organizations.invitation_commands import InvitationCommands
from platform_svc.organizations.membership import Role
from platform_svc.organizations.permissions import PERMISSIONS
from platform_svc.organizations.tables import MembershipRow, OrganizationRow

from .conftest import answer_jwks
from .edges import Edge, free_port, running, topology_of

PEPPERS = Peppers((b"the pepper of the matrix, and long enough",))
TEAM = uuid.UUID(int=77)
USER_CALLER = authorization_pb2.CALLER_USER
SCOPES = frozenset().union(*PERMISSIONS.values()) - PERSONAL_SCOPES
PROTOS = Descriptors.load()
ROUTES = read_routes(PROTOS)
PEOPLE = {name: replace(USER, user_id=uuid.UUID(int=900 + i)) for i, name in enumerate(Role)}
STRANGER = replace(USER, user_id=uuid.UUID(int=999), organization_id=uuid.UUID(int=78))

Refused = tuple[int, str] | None


@dataclass
class World:
    """The edge, who may call through it, and the fakes behind it."""

    http: httpx.AsyncClient
    address: str
    identity: TestIdentity
    keys: AccessCommands
    fakes: dict[str, FakeServicer]
    texts: dict[tuple[str, frozenset[str]], str] = field(default_factory=dict)

    def bearer(self, name: str | None) -> str:
        user = STRANGER if name is None else PEOPLE[name]
        return self.identity.user_token(user, lifetime=timedelta(minutes=15))

    async def key(self, name: str, scopes: frozenset[str]) -> str:
        """Give the text of a key that the user made."""
        if (name, scopes) not in self.texts:
            maker = replace(PEOPLE[name], organization_id=TEAM)
            wanted = Wanted(TEAM, "key", tuple(sorted(scopes)), timedelta(days=1))
            call = Call("x", "x", None, access_service_pb2.CreateApiKeyRequest(), Any)
            key, seed = await self.keys.create(wanted, maker, call, lambda *made: made)
            self.texts[name, scopes] = self.keys.text_of(seed, key.prefix)
        return self.texts[name, scopes]

    async def ask(self, route: Route, credential: str | None) -> Refused:
        """Call a method in the team; give the status and reason if it was refused for who calls."""
        for fake in self.fakes.values():
            fake.calls.clear()
        team = format_id("org", TEAM)
        path, body = route.template, {}
        for variable in route.variables:
            value = team if variable == route.organization_field else "x"
            path = path.replace(f"{{{variable}}}", value)
        if route.organization_field and route.organization_field not in route.variables:
            body = {route.organization_field: team}
        headers = {"x-reelmesh-org": team}
        if credential is not None:
            headers["authorization"] = f"Bearer {credential}"
        answer = await self.http.request(
            route.verb,
            path,
            headers=headers,
            json=body if route.body else None,
            params=None if route.body else body,
        )
        if answer.status_code not in {401, 403}:
            # The fakes know no answer: what gets through is refused as bad, or unavailable.
            assert answer.status_code in {200, 400, 503}, answer.text
            return None
        assert not any(fake.calls for fake in self.fakes.values()), "it was refused and served"
        return answer.status_code, answer.json()["details"][0]["reason"]


@pytest.fixture(scope="module")
async def world(databases, tmp_path_factory) -> AsyncIterator[World]:
    identity = TestIdentity(tmp_path_factory.mktemp("matrix"))
    async with AsyncExitStack() as stack:
        real, keys, authorizer = await real_services(stack, databases, identity)
        fakes, upstreams = await fake_parts(stack, identity, authorizer)
        topology = replace(
            topology_of(0, 0, free_port()),
            upstreams=(*upstreams, upstream("access", real)),
            key_part="access",
        )
        edge = Edge(topology, tmp_path_factory.mktemp("matrix edge"))
        await stack.enter_async_context(running(edge))
        await edge.ready()
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=edge.url, trust_env=False, timeout=30)
        )
        yield World(http, edge.address, identity, keys, fakes)


async def real_services(
    stack: AsyncExitStack, databases: Any, identity: TestIdentity
) -> tuple[int, AccessCommands, MembershipAuthorizer]:
    """Serve organizations and the exchange of keys; give their port and what asks them."""
    template = await databases.template(
        {"organizations": organizations.MIGRATIONS, "access": access.MIGRATIONS}
    )
    url = await stack.enter_async_context(databases.clone(template))
    people = await stack.enter_async_context(Database(url, "organizations"))
    keys = await stack.enter_async_context(Database(url, "access"))
    await settle(people)
    ambient = identity.ambient
    exchange = KeyExchange(
        keys.sessions, ambient, PEPPERS, identity.signer, KeyUsage(keys.sessions)
    )
    check = CheckServicer(exchange)
    services = organizations.services(
        people,
        OrganizationCommands(people.sessions, ambient),
        InvitationCommands(people.sessions, ambient, PEPPERS, asyncio.Event()),
    )
    door = Service(
        access.CHECK_NAME, lambda server: add_AuthorizationServicer_to_server(check, server)
    )
    mesh = await stack.enter_async_context(serve(*services, door, identity=identity))
    members = await stack.enter_async_context(mesh.as_service(MembersServiceStub, "platform"))
    authorizer = MembershipAuthorizer(members)
    return mesh.server.port, AccessCommands(keys.sessions, ambient, PEPPERS, authorizer), authorizer


async def settle(database: Database) -> None:
    """Make the team, with one member of each role."""
    async with database.sessions.begin() as session:
        session.add(OrganizationRow(id=TEAM, name="Team", kind="team", created_at=START))
        await session.flush()
        for role, user in PEOPLE.items():
            session.add(
                MembershipRow(org_id=TEAM, user_id=user.user_id, role=role, joined_at=START)
            )


async def fake_parts(
    stack: AsyncExitStack, identity: TestIdentity, authorizer: MembershipAuthorizer
) -> tuple[dict[str, FakeServicer], list[Upstream]]:
    """Serve a fake of every public service, one server a part."""
    for file in PROTOS.files.file:
        if file.service:
            # The fakes find a service's messages by its name, once its module is loaded.
            importlib.import_module(f"{file.name.removesuffix('.proto').replace('/', '.')}_pb2")
    fakes, upstreams = {}, []
    for part in sorted({route.part for route in ROUTES}):
        names = sorted({route.rpc.service for route in ROUTES if route.part == part})
        own = {name: FakeServicer(name) for name in names}
        for name, fake in own.items():
            if name.endswith(".IdentityService"):
                answer_jwks(fake, identity)
        served = [fake.service() for fake in own.values()]
        mesh = await stack.enter_async_context(
            serve(*served, identity=identity, authorizer=authorizer)
        )
        fakes |= own
        upstreams.append(upstream(part, mesh.server.port))
    return fakes, upstreams


def upstream(part: str, port: int) -> Upstream:
    return Upstream(part, (Endpoint(Address("127.0.0.1", port)),))


async def check_all(
    world: World, credential: Callable[[Route], Any], expected: Callable[[Route], Refused]
) -> None:
    """Ask for every method; whoever differs from what is expected is named."""
    wrong = {}
    for route in ROUTES:
        given = credential(route)
        answer = await world.ask(route, await given if hasattr(given, "__await__") else given)
        if answer != expected(route):
            wrong[f"{route.verb} {route.template}"] = (answer, expected(route))
    assert wrong == {}


def callers(route: Route) -> set[int]:
    return set(route.rpc.descriptor.options.Extensions[authorization_pb2.authorization].callers)


def is_for_users(route: Route) -> bool:
    return USER_CALLER in callers(route)


def test_every_public_method_is_in_the_matrix() -> None:
    public = {method.path for method in PROTOS.methods() if is_public(method)}
    assert {route.rpc.path for route in ROUTES} == public
    assert len(public) > 30


def test_every_permission_is_granted_to_owners_and_named_by_a_method() -> None:
    named = {route.permission for route in ROUTES if route.permission}
    assert named <= PERMISSIONS[Role.OWNER], "name it in organizations/permissions.py"
    # That of managing others' keys is asked for inside of a method.
    assert PERMISSIONS[Role.OWNER] - named == {"api_keys.manage"}


async def test_nobody_gets_in_without_credentials(world) -> None:
    def expected(route: Route) -> Refused:
        return None if route.is_open else (401, "TOKEN_MISSING")

    await check_all(world, lambda route: None, expected)


async def test_a_stranger_does_not_get_into_the_organization(world) -> None:
    def expected(route: Route) -> Refused:
        if route.is_open:
            return None
        if not is_for_users(route):
            return 403, "CALLER_NOT_ALLOWED"
        return (403, "NOT_A_MEMBER") if route.permission or route.organization_field else None

    await check_all(world, lambda route: world.bearer(None), expected)


@pytest.mark.parametrize("role", list(Role))
async def test_a_member_gets_as_far_as_their_role(world, role) -> None:
    def expected(route: Route) -> Refused:
        if route.is_open:
            return None
        if not is_for_users(route):
            return 403, "CALLER_NOT_ALLOWED"
        if not route.permission or route.permission in PERMISSIONS[role]:
            return None
        return 403, "PERMISSION_DENIED"

    await check_all(world, lambda route: world.bearer(role), expected)


async def test_a_key_without_the_scope_is_refused(world) -> None:
    def expected(route: Route) -> Refused:
        if route.is_open:
            return None
        return 403, "SCOPE_MISSING" if route.permission else "CALLER_NOT_ALLOWED"

    def all_other_scopes(route: Route) -> Any:
        return world.key("owner", SCOPES - {route.permission})

    await check_all(world, all_other_scopes, expected)


async def test_a_key_with_the_scope_gets_in(world) -> None:
    def expected(route: Route) -> Refused:
        if route.is_open or route.permission in SCOPES:
            return None
        return 403, "SCOPE_MISSING" if route.permission else "CALLER_NOT_ALLOWED"

    await check_all(world, lambda route: world.key("owner", SCOPES), expected)


@pytest.mark.parametrize("text", ["rmk_", "rmk_" + "A" * 49, "rmk_é"])
async def test_what_looks_like_a_key_and_is_none_is_refused(world, text) -> None:
    headers = {"authorization": b"bearer " + text.encode()}
    answer = await world.http.get("/v1/runs", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["details"][0]["reason"] == "API_KEY_INVALID"
    assert answer.json()["details"][0]["metadata"]["request_id"]
    # Where no credential is needed, a bad one is as good as none.
    assert (await world.http.get("/v1/tools", headers=headers)).status_code == 503


async def test_a_key_is_good_over_grpc(world) -> None:
    tools = world.fakes["reelmesh.business.tools.v1.ToolsService"]
    tools.answer("ListRuns", tools_service_pb2.ListRunsResponse())
    request = tools_service_pb2.ListRunsRequest()
    async with grpc.aio.insecure_channel(world.address) as channel:
        stub = tools_service_pb2_grpc.ToolsServiceStub(channel)
        key = await world.key("owner", frozenset({"runs.read"}))
        await stub.ListRuns(request, metadata=(("authorization", f"Bearer {key}"),))
        # The services never see the key itself.
        assert key not in str(tools.metadata["ListRuns"])
        broken = key[:-1] + ("a" if key[-1] != "a" else "b")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListRuns(request, metadata=(("authorization", f"Bearer {broken}"),))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "API key" in refused.value.details()
