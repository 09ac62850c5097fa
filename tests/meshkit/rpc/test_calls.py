"""All four kinds of call through every interceptor, and how calls end."""

from __future__ import annotations

import asyncio
import logging

import grpc
import pytest
from prometheus_client import REGISTRY

from meshkit.context import ServicePrincipal, current
from meshkit.errors import ServiceError
from meshkit.testing.identity import USER


class TooSmall(ServiceError):
    """A refusal of the test's own."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "TOO_SMALL"


def handled(method: str, code: str) -> float:
    labels = {
        "grpc_service": "reelmesh.test.echo.v1.EchoService",
        "grpc_method": method,
        "grpc_code": code,
    }
    return REGISTRY.get_sample_value("grpc_server_handled_total", labels) or 0.0


async def test_unary_call_is_answered(stub, request_class, identity) -> None:
    reply = await stub.User(request_class(text="hi"), metadata=identity.user_metadata())
    assert reply.text == "hi"


async def test_server_stream_is_answered(stub, request_class, identity) -> None:
    call = stub.Down(request_class(text="abc"), metadata=identity.user_metadata())
    assert [reply.text async for reply in call] == ["a", "b", "c"]


async def test_client_stream_is_answered(stub, request_class, identity) -> None:
    requests = [request_class(text=letter) for letter in "abc"]
    reply = await stub.Up(iter(requests), metadata=identity.user_metadata())
    assert reply.text == "abc"


async def test_both_streams_are_answered(stub, request_class, identity) -> None:
    requests = [request_class(text=letter) for letter in "abc"]
    call = stub.Both(iter(requests), metadata=identity.user_metadata())
    assert [reply.text async for reply in call] == ["a", "b", "c"]


@pytest.mark.parametrize("method", ["Down", "Up", "Both"])
async def test_streams_without_a_token_are_refused(stub, request_class, refused, method) -> None:
    request = request_class(text="a")
    call = getattr(stub, method)(request if method == "Down" else iter([request]))
    refusal = await refused(call if method == "Up" else call.read())
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    assert refusal.info.reason == "TOKEN_MISSING"


@pytest.mark.parametrize("method", ["Up", "Both"])
async def test_each_message_of_a_stream_is_validated(
    stub, request_class, identity, refused, method
) -> None:
    requests = [request_class(text="ok"), request_class(text="x" * 11)]
    call = getattr(stub, method)(iter(requests), metadata=identity.user_metadata())
    if method == "Both":
        assert (await call.read()).text == "ok"
    refusal = await refused(call if method == "Up" else call.read())
    assert refusal.info.reason == "INVALID_REQUEST"
    assert refusal.bad_request.field_violations[0].field == "text"


async def test_refusal_carries_reason_domain_and_metadata(
    stub, request_class, echo_servicer, refused
) -> None:
    async def behave(request, context):
        raise TooSmall("too small", wanted="3")

    echo_servicer.behave = behave
    refusal = await refused(stub.Anyone(request_class()))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.message == "too small"
    assert refusal.info.reason == "TOO_SMALL"
    assert refusal.info.domain == "test.reelmesh"
    assert dict(refusal.info.metadata) == {"wanted": "3"}


@pytest.mark.parametrize("method", ["Anyone", "Down"])
async def test_unexpected_errors_are_hidden_and_logged(
    stub, request_class, echo_servicer, identity, refused, caplog, method
) -> None:
    async def behave(request, context):
        raise RuntimeError("the password is hunter2")

    echo_servicer.behave = behave
    metadata = (*identity.user_metadata(), ("x-request-id", "req-7"))
    call = getattr(stub, method)(request_class(), metadata=metadata)
    refusal = await refused(call if method == "Anyone" else call.read())
    assert refusal.code is grpc.StatusCode.INTERNAL
    assert refusal.message == "internal error"
    assert refusal.info.reason == "INTERNAL"
    assert dict(refusal.info.metadata) == {"request_id": "req-7"}
    failures = [record for record in caplog.records if record.message == "call failed"]
    assert "hunter2" in str(failures[0].exc_info[1])


async def test_unknown_method_has_a_reason(stub, request_class, refused) -> None:
    refusal = await refused(stub.Missing(request_class()))
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    assert refusal.info.reason == "UNKNOWN_METHOD"


async def test_bytes_that_are_no_message_are_refused(stub, identity, refused) -> None:
    refusal = await refused(stub.Raw(b"\xff\xff", metadata=identity.user_metadata()))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.info.reason == "MALFORMED_REQUEST"


async def test_broken_rules_name_their_fields(stub, request_class, refused) -> None:
    request = request_class(text="x" * 11, items=[{"size": 1}, {"size": 0}])
    refusal = await refused(stub.Anyone(request))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.info.reason == "INVALID_REQUEST"
    fields = [violation.field for violation in refusal.bad_request.field_violations]
    assert fields == ["text", "items[1].size"]


async def test_long_idempotency_key_is_refused(stub, request_class, refused) -> None:
    call = stub.Anyone(request_class(), metadata=(("idempotency-key", "k" * 129),))
    assert (await refused(call)).info.reason == "INVALID_REQUEST"


async def test_context_tells_the_handler_who_calls_and_how(
    stub, request_class, echo_servicer, echo_messages, identity
) -> None:
    seen = []

    async def behave(request, context):
        seen.append(current())
        return echo_messages.EchoReply()

    echo_servicer.behave = behave
    metadata = (("x-request-id", "r1"), ("idempotency-key", "k1"), *identity.user_metadata())
    await stub.User(request_class(), metadata=metadata, timeout=5)
    await stub.Business(request_class(), metadata=identity.service_metadata("business"))
    assert seen[0].principal == USER
    assert (seen[0].request_id, seen[0].idempotency_key) == ("r1", "k1")
    assert 3 < seen[0].remaining_seconds() < 5
    assert seen[1].principal == ServicePrincipal("business", "business")
    assert seen[1].idempotency_key is None
    assert seen[1].request_id != "r1"
    # Nobody set a deadline, so the default one holds.
    assert 20 < seen[1].remaining_seconds() <= 30


async def test_unfit_request_id_is_replaced(
    stub, request_class, echo_servicer, echo_messages
) -> None:
    seen = []

    async def behave(request, context):
        seen.append(current().request_id)
        return echo_messages.EchoReply()

    echo_servicer.behave = behave
    await stub.Anyone(request_class(), metadata=(("x-request-id", "a b{c}"),))
    assert seen[0] != "a b{c}"
    assert len(seen[0]) == 36


async def test_slow_call_ends_at_the_callers_deadline(
    stub, request_class, echo_servicer, refused
) -> None:
    ended = asyncio.Event()

    async def behave(request, context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    echo_servicer.behave = behave
    refusal = await refused(stub.Anyone(request_class(), timeout=0.5))
    assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refusal.info.reason == "DEADLINE_EXCEEDED"
    await asyncio.wait_for(ended.wait(), 5)


async def test_stream_ends_when_its_caller_leaves(
    stub, request_class, echo_servicer, identity
) -> None:
    async def behave(request, context):
        await asyncio.Event().wait()

    echo_servicer.behave = behave
    before = handled("Down", "CANCELLED")
    call = stub.Down(request_class(text="a"), metadata=identity.user_metadata())
    assert (await call.read()).text == "a"
    call.cancel()
    await asyncio.wait_for(echo_servicer.stream_ended.wait(), 5)
    echo_servicer.behave = None
    await stub.Anyone(request_class())
    assert handled("Down", "CANCELLED") == before + 1


async def test_calls_are_counted_and_logged_without_secrets(
    stub, request_class, identity, refused, caplog
) -> None:
    caplog.set_level(logging.DEBUG, "meshkit.calls")
    ok, missing = handled("User", "OK"), handled("User", "UNAUTHENTICATED")
    metadata = identity.user_metadata()
    await stub.User(request_class(text="body"), metadata=metadata)
    await refused(stub.User(request_class()))
    assert handled("User", "OK") == ok + 1
    assert handled("User", "UNAUTHENTICATED") == missing + 1
    lines = [vars(record) for record in caplog.records if record.name == "meshkit.calls"]
    assert [line["code"] for line in lines] == ["OK", "UNAUTHENTICATED"]
    assert lines[1]["reason"] == "TOKEN_MISSING"
    assert lines[0]["caller"].startswith("usr_")
    text = str(lines)
    assert "body" not in text
    assert metadata[0][1] not in text


async def test_nul_characters_are_refused_wherever_they_hide(stub, request_class, refused) -> None:
    refusal = await refused(stub.Anyone(request_class(text="a\x00b")))
    assert refusal.info.reason == "INVALID_REQUEST"
    assert refusal.bad_request.field_violations[0].field == "text"
