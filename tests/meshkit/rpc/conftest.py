"""A small service with every kind of call and of caller, served on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from grpc_tools import protoc
from reelmesh.common.v1 import authorization_pb2

from meshkit.server import Service
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve

ROOT = Path(__file__).resolve().parents[3]
ECHO = "reelmesh.test.echo.v1.EchoService"
assert validate_pb2.DESCRIPTOR.name
assert authorization_pb2.DESCRIPTOR.name


@pytest.fixture(scope="session")
def echo_messages(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The messages of echo.proto, loaded as a generated module would."""
    output = tmp_path_factory.mktemp("echo") / "echo.binpb"
    includes = [
        Path(__file__).parent,
        ROOT / "protos",
        ROOT / "third_party" / "protovalidate",
        resources.files("grpc_tools") / "_proto",
    ]
    arguments = ["protoc", *(f"-I{path}" for path in includes), f"--descriptor_set_out={output}"]
    assert protoc.main([*arguments, "echo.proto"]) == 0
    files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(files.file[0].SerializeToString())
    classes = message_factory.GetMessageClassesForFiles(["echo.proto"], pool)
    return SimpleNamespace(**{name.rpartition(".")[2]: cls for name, cls in classes.items()})


class EchoServicer:
    """Answers with what it got; `behave` may do something else instead."""

    def __init__(self, reply_class: Any) -> None:
        self._reply = reply_class
        self.behave: Callable[[Any, Any], Awaitable[Any]] | None = None
        self.stream_ended = asyncio.Event()

    async def unary(self, request: Any, context: Any) -> Any:
        if self.behave is not None:
            return await self.behave(request, context)
        return self._reply(text=request.text)

    async def down(self, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            for letter in request.text:
                yield self._reply(text=letter)
            if self.behave is not None:
                await self.behave(request, context)
        finally:
            self.stream_ended.set()

    async def up(self, requests: Any, context: Any) -> Any:
        return self._reply(text="".join([request.text async for request in requests]))

    async def both(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield self._reply(text=request.text)

    def service(self, request_class: Any) -> Service:
        codec = (request_class.FromString, self._reply.SerializeToString)
        unary = {
            name: grpc.unary_unary_rpc_method_handler(self.unary, *codec)
            for name in ("Anyone", "User", "Member", "Acting", "Business", "Either", "Operator")
        }
        handlers = {
            **unary,
            "Down": grpc.unary_stream_rpc_method_handler(self.down, *codec),
            "Up": grpc.stream_unary_rpc_method_handler(self.up, *codec),
            "Both": grpc.stream_stream_rpc_method_handler(self.both, *codec),
        }
        generic = grpc.method_handlers_generic_handler(ECHO, handlers)
        return Service(ECHO, lambda server: server.add_generic_rpc_handlers((generic,)))


class EchoStub:
    """What protoc would generate as the stub."""

    def __init__(self, channel: Any, messages: SimpleNamespace) -> None:
        codec = (messages.EchoRequest.SerializeToString, messages.EchoReply.FromString)
        for name in (
            "Anyone",
            "User",
            "Member",
            "Acting",
            "Business",
            "Either",
            "Operator",
            "Missing",
        ):
            setattr(self, name, channel.unary_unary(f"/{ECHO}/{name}", *codec))
        self.Down = channel.unary_stream(f"/{ECHO}/Down", *codec)
        self.Up = channel.stream_unary(f"/{ECHO}/Up", *codec)
        self.Both = channel.stream_stream(f"/{ECHO}/Both", *codec)
        self.Raw = channel.unary_unary(f"/{ECHO}/User")


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> TestIdentity:
    return TestIdentity(tmp_path_factory.mktemp("identity"))


@pytest.fixture
def request_class(echo_messages: SimpleNamespace) -> Any:
    return echo_messages.EchoRequest


@pytest.fixture
def echo_servicer(echo_messages: SimpleNamespace) -> EchoServicer:
    return EchoServicer(echo_messages.EchoReply)


@pytest.fixture
async def mesh(
    echo_servicer: EchoServicer, request_class: Any, identity: TestIdentity
) -> AsyncIterator[ServedMesh]:
    async with serve(echo_servicer.service(request_class), identity=identity) as mesh:
        yield mesh


@pytest.fixture
async def stub(mesh: ServedMesh, echo_messages: SimpleNamespace) -> AsyncIterator[EchoStub]:
    """A stub on a bare channel: tests say themselves what metadata a call has."""
    async with grpc.aio.insecure_channel(mesh.address) as channel:
        yield EchoStub(channel, echo_messages)


@pytest.fixture
def stub_class(echo_messages: SimpleNamespace) -> Callable[[Any], EchoStub]:
    return lambda channel: EchoStub(channel, echo_messages)


class Refusal:
    """A call's error, taken apart."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.message = error.details()
        self.info = error_details_pb2.ErrorInfo()
        self.bad_request = error_details_pb2.BadRequest()
        status = rpc_status.from_call(error)
        assert status is not None, f"no status details: {error!r}"
        assert status.details[0].Unpack(self.info)
        for detail in status.details[1:]:
            detail.Unpack(self.bad_request)


@pytest.fixture
def refused() -> Callable[[Any], Awaitable[Refusal]]:
    async def refused(call: Any) -> Refusal:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        return Refusal(error.value)

    return refused
