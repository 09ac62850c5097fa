"""How a server starts, says that it is well, and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from meshkit.methods import MissingAuthorization
from meshkit.server import AddressUnavailable, ServerSettings, Service
from meshkit.testing.servers import serve

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_health_needs_no_token_and_names_each_service(mesh) -> None:
    async with grpc.aio.insecure_channel(mesh.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "reelmesh.test.echo.v1.EchoService"):
            reply = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert reply.status == SERVING


async def test_reflection_lists_the_services(mesh) -> None:
    async with grpc.aio.insecure_channel(mesh.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        reply = await call.read()
        call.cancel()
    names = [service.name for service in reply.list_services_response.service]
    assert "reelmesh.test.echo.v1.EchoService" in names


async def test_method_without_a_declaration_is_not_served(echo_messages, identity) -> None:
    service = Service("reelmesh.test.echo.v1.OpenService", lambda server: None)
    with pytest.raises(MissingAuthorization, match="OpenService/Undeclared"):
        async with serve(service, identity=identity):
            pass


async def test_taken_address_is_named(mesh, echo_servicer, request_class, identity) -> None:
    settings = ServerSettings(listen=mesh.address)
    with pytest.raises(AddressUnavailable, match=mesh.address):
        async with serve(
            echo_servicer.service(request_class), identity=identity, settings=settings
        ):
            pass


async def test_metrics_are_served(echo_servicer, request_class, stub_class, identity) -> None:
    settings = ServerSettings(metrics_listen="127.0.0.1:0", drain_seconds=0)
    async with (
        serve(echo_servicer.service(request_class), identity=identity, settings=settings) as mesh,
        mesh.as_user(stub_class) as stub,
    ):
        await stub.User(request_class())
        url = f"http://127.0.0.1:{mesh.server.metrics_port}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read())
    assert b'grpc_server_handled_total{grpc_code="OK",grpc_method="User"' in page


async def test_sigterm_drains(
    echo_servicer, request_class, echo_messages, stub_class, identity
) -> None:
    """Health turns to NOT_SERVING, a running call still ends, then the server is gone."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def behave(request, context):
        begun.set()
        await go_on.wait()
        return echo_messages.EchoReply(text="in time")

    echo_servicer.behave = behave
    settings = ServerSettings(drain_seconds=10)
    service = echo_servicer.service(request_class)
    async with (
        serve(service, identity=identity, settings=settings) as mesh,
        mesh.as_user(stub_class) as stub,
        grpc.aio.insecure_channel(mesh.address) as channel,
    ):
        serving = asyncio.create_task(mesh.server.serve_until_stopped())
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        running = asyncio.ensure_future(stub.User(request_class()))
        await begun.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        assert not serving.done()
        go_on.set()
        assert (await running).text == "in time"
        await asyncio.wait_for(serving, 5)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.User(request_class(), timeout=1)
        assert error.value.code() in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        )
