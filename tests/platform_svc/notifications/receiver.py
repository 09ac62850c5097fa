"""A program that receives webhooks over a real socket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Receiver:
    """Keeps what it was sent and answers as it is told to, 204 by default."""

    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.Response:
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.requests.append((headers, await request.read()))
        await self.may_answer.wait()
        return self.answers.pop(0) if self.answers else web.Response(status=204)

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]

    def good_signatures(self, secret: str, at: int = -1) -> int:
        """Say how many signatures of a request are by the secret, as a receiver computes it."""
        headers, body = self.requests[at]
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}"
        digest = hmac.new(key, content.encode(), hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        return headers["webhook-signature"].split(" ").count(wanted)


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Receive on a free port of 127.0.0.1."""
    receiver = Receiver()
    receiver.may_answer.set()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", receiver.receive)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
