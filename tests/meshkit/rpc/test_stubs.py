"""Calls between services: what they carry, what is retried, and refusals passed on."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from meshkit.context import ServicePrincipal, current
from meshkit.errors import Unavailable
from meshkit.stubs import MeshChannel, RemoteError, remote_reason
from meshkit.testing.fakes import FakeServicer
from meshkit.testing.servers import serve

ECHO = "reelmesh.test.echo.v1.EchoService"


@pytest.fixture
def fake(echo_messages) -> FakeServicer:
    return FakeServicer(ECHO)


async def test_inner_call_carries_identity_request_id_and_remaining_deadline(
    echo_servicer, request_class, echo_messages, stub_class, identity
) -> None:
    """One server calls itself, as a part with several services in one process does."""
    inner = {}

    async with (
        serve(echo_servicer.service(request_class), identity=identity) as mesh,
        mesh.channel("business") as channel,
        mesh.as_user(stub_class) as user,
    ):

        async def behave(request, context):
            if request.text == "inner":
                inner["call"] = current()
                return echo_messages.EchoReply(text="from inside")
            return await channel.stub(stub_class).Business(request_class(text="inner"))

        echo_servicer.behave = behave
        metadata = (("x-request-id", "outer-1"),)
        reply = await user.User(request_class(text="outer"), metadata=metadata, timeout=3)
    assert reply.text == "from inside"
    assert inner["call"].principal == ServicePrincipal("business", "business")
    assert inner["call"].request_id == "outer-1"
    assert inner["call"].remaining_seconds() < 3


@pytest.mark.parametrize(("method", "calls"), [("User", 3), ("Business", 1)])
async def test_only_methods_that_may_be_repeated_are_retried(
    fake, request_class, echo_messages, stub_class, identity, refused, method, calls
) -> None:
    """User is declared free of side effects; Business is not."""
    away = Unavailable("try again")
    fake.answer(method, away, away, echo_messages.EchoReply(text="third"))
    async with serve(fake.service(), identity=identity) as mesh:
        caller = (
            mesh.as_user(stub_class)
            if method == "User"
            else mesh.as_service(stub_class, "business")
        )
        async with caller as stub:
            call = getattr(stub, method)(request_class())
            if calls == 1:
                assert (await refused(call)).code is grpc.StatusCode.UNAVAILABLE
            else:
                assert (await call).text == "third"
    assert len(fake.calls[method]) == calls


async def test_retries_are_bounded(fake, request_class, stub_class, identity, refused) -> None:
    fake.always("User", Unavailable("never"))
    async with serve(fake.service(), identity=identity) as mesh, mesh.as_user(stub_class) as stub:
        await refused(stub.User(request_class()))
    assert len(fake.calls["User"]) == 4


async def test_call_outside_of_a_served_call_still_has_a_deadline(
    fake, request_class, echo_messages, stub_class, identity
) -> None:
    never = asyncio.Event()

    async def wait(request):
        await never.wait()
        return echo_messages.EchoReply()

    fake.always("Business", wait)
    async with serve(fake.service(), identity=identity) as mesh:
        business = identity.service("business")
        async with MeshChannel(mesh.address, business, timeout_seconds=0.3) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await channel.stub(stub_class).Business(request_class())
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_remote_refusal_can_be_read_and_passed_on(
    fake, request_class, stub_class, identity, refused
) -> None:
    """The fake stands behind a real server that hands its refusal on."""
    fake.always("Business", RemoteError(grpc.StatusCode.NOT_FOUND, "GONE", "gone", {"id": "7"}))
    async with (
        serve(fake.service(), identity=identity) as mesh,
        mesh.as_service(stub_class, "business") as stub,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Business(request_class())
    assert remote_reason(error.value) == "GONE"
    passed_on = RemoteError.of(error.value)
    assert passed_on.code is grpc.StatusCode.NOT_FOUND
    assert (passed_on.reason, str(passed_on), passed_on.metadata) == ("GONE", "gone", {"id": "7"})


async def test_error_without_details_has_no_reason(stub_class, request_class, identity) -> None:
    async with MeshChannel("127.0.0.1:1", None, timeout_seconds=1) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await channel.stub(stub_class).Anyone(request_class())
    assert remote_reason(error.value) is None
    assert RemoteError.of(error.value) is None


async def test_failure_of_a_dependency_is_told_without_its_words(
    echo_servicer, request_class, stub_class, identity
) -> None:
    async def behave(request, context):
        async with MeshChannel("127.0.0.1:1", None) as channel:
            return await channel.stub(stub_class).Anyone(request_class())

    echo_servicer.behave = behave
    async with (
        serve(echo_servicer.service(request_class), identity=identity) as mesh,
        mesh.as_anyone(stub_class) as stub,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Anyone(request_class())
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "127.0.0.1" not in error.value.details()
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error.value).details[0].Unpack(info)
    assert info.reason == "UNAVAILABLE"


async def test_spans_continue_the_callers_trace(
    echo_servicer, request_class, echo_messages, stub_class, identity
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    service = echo_servicer.service(request_class)
    async with (
        serve(service, identity=identity, tracer_provider=provider) as mesh,
        mesh.channel("business") as channel,
        mesh.as_user(stub_class) as user,
    ):

        async def behave(request, context):
            if request.text:
                return echo_messages.EchoReply(text=current().traceparent)
            return await channel.stub(stub_class).Business(request_class(text="inner"))

        echo_servicer.behave = behave
        metadata = (("traceparent", f"00-{trace_id}-{span_id}-01"),)
        reply = await user.User(request_class(), metadata=metadata)
    assert reply.text.split("-")[1] == trace_id
    inner, outer = exporter.get_finished_spans()
    assert (outer.name, inner.name) == (f"{ECHO}/User", f"{ECHO}/Business")
    assert format(outer.context.trace_id, "032x") == trace_id
    assert format(outer.parent.span_id, "016x") == span_id
    assert inner.parent.span_id == outer.context.span_id
    assert outer.attributes["rpc.grpc.status_code"] == 0
    provider.shutdown()
