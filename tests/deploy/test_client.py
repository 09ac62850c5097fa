"""The client against a real HTTP server that fails as a restarting part does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from deploy.account import sign_in_as_cli
from deploy.client import ApiError, ReelmeshClient, Session, Unreachable
from deploy.local.layout import Layout

SESSION = Session("usr_1", "org_1", "access", "refresh")
REFUSAL = {
    "code": 9,
    "message": "not enough credits",
    "details": [{"@type": "x", "reason": "INSUFFICIENT_CREDITS"}],
}


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Server:
    """Answers each request with the next answer, or with what `respond` gives."""

    answers: list[bytes] = field(default_factory=list)
    respond: Callable[[Request], bytes] | None = None
    seen: list[Request] = field(default_factory=list)
    url: str = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, path, headers)
        self.seen.append(request)
        writer.write(self.respond(request) if self.respond else self.answers.pop(0))
        await writer.drain()
        writer.close()


def answer(status: int, document: object) -> bytes:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body


def events(*runs: dict[str, object]) -> bytes:
    body = "".join(f"data: {json.dumps(run)}\n\n" for run in runs)
    return f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{body}".encode()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[ReelmeshClient]:
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener, ReelmeshClient(server.url, SESSION) as client:
        yield client


async def test_a_retried_call_carries_the_same_key() -> None:
    server = Server([answer(503, {}), b"", answer(200, {"run_id": "run_1"})])
    async with serving(server) as client:
        run = await client.run("text-to-image", {"prompt": "x"})

    keys = {request.headers["idempotency-key"] for request in server.seen}
    assert run == {"run_id": "run_1"}
    assert len(server.seen) == 3
    assert len(keys) == 1


async def test_a_refusal_is_not_retried_and_tells_its_reason() -> None:
    server = Server([answer(400, REFUSAL)])
    async with serving(server) as client:
        with pytest.raises(ApiError, match="not enough credits") as refusal:
            await client.run("text-to-image", {"prompt": "x"})

    assert (refusal.value.status, refusal.value.reason) == (400, "INSUFFICIENT_CREDITS")
    assert len(server.seen) == 1


async def test_a_stream_that_breaks_is_followed_again_to_the_end() -> None:
    def run(state: str, step: int) -> dict[str, object]:
        return {"run_id": "run_1", "state": state, "step": step}

    server = Server(
        [
            events(run("queued", 0), run("running", 3)),
            answer(200, run("running", 5)),
            answer(503, {}),
            answer(200, run("running", 6)),
            events(run("running", 7), run("succeeded", 9)),
        ]
    )
    async with serving(server) as client:
        seen = [one["step"] async for one in client.follow("run_1")]

    assert seen == [0, 3, 5, 6, 7, 9]


async def test_a_gateway_that_is_gone_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.client.FIRST_RETRY_SECONDS", 0.001)
    async with ReelmeshClient("http://127.0.0.1:1", SESSION) as client:
        with pytest.raises(Unreachable, match="does not answer"):
            await client.balance()


def session_document(name: str) -> dict[str, object]:
    return {
        "user": {"user_id": f"usr_{name}", "personal_org_id": f"org_{name}"},
        "session": {"access_token": f"access-{name}", "refresh_token": f"refresh-{name}"},
    }


async def test_the_commands_make_one_user_and_come_back_as_it(layout: Layout) -> None:
    expired: set[str] = set()

    def respond(request: Request) -> bytes:
        if request.path == "/v1/auth/sign-up":
            return answer(200, session_document("new"))
        if request.path == "/v1/auth/sign-in":
            return answer(200, session_document("again"))
        gone = request.path == "/v1/auth/refresh" or request.headers["authorization"] in expired
        return answer(401 if gone else 200, {})

    server = Server(respond=respond)
    async with serving(server) as client:
        first = await sign_in_as_cli(client, layout)
        second = await sign_in_as_cli(client, layout)
        expired.add("bearer access-new")
        third = await sign_in_as_cli(client, layout)

    assert first == second
    assert (first.user_id, third.user_id) == ("usr_new", "usr_again")
    assert [one.path for one in server.seen].count("/v1/auth/sign-up") == 1
    assert (layout.data / "cli_session.json").stat().st_mode & 0o077 == 0
