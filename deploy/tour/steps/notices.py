"""Something happens, and who should hear of it does: in the app, by webhook, in the audit log."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from deploy.client import Document, ReelmeshClient
from deploy.tour.guide import Guide

ORDER: Final = 60
TITLE: Final = "Notifications, webhooks and the audit log"
HEADER_BYTES_MAX: Final = 16 * 1024
PRIVATE: Final = "https://169.254.169.254/latest/meta-data"


@dataclass
class Program:
    """A customer's program that receives webhooks."""

    url: str = ""
    messages: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one message and say so."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(":") for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        self.messages.append((headers, body))
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    def is_signed(self, secret: str) -> bool:
        """Check the newest message as the Standard Webhooks specification says."""
        headers, body = self.messages[-1]
        key = base64.b64decode(secret.removeprefix("whsec_"))
        stamp = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode()
        digest = base64.b64encode(hmac.new(key, stamp + body, hashlib.sha256).digest()).decode()
        return f"v1,{digest}" in headers["webhook-signature"].split(" ")


async def run(guide: Guide) -> None:
    """Invite, join, and look at who heard of it."""
    async with guide.user("teller") as owner, _listening() as program:
        assert owner.session is not None
        org = owner.session.org_id
        hooks = f"/v1/orgs/{org}/webhook-endpoints"
        await guide.refused(owner.call("POST", hooks, {"url": PRIVATE}), "TARGET_NOT_ALLOWED")
        guide.say("a webhook to a private address is refused, now and at each delivery")
        made = await owner.call("POST", hooks, {"url": program.url})
        run = await guide.picture(owner, "a blue star")
        await _hear(guide, program, made, run)
        await _see(guide, owner, run)
        await _look_back(guide, owner, org)


async def _hear(guide: Guide, program: Program, made: Document, run: Document) -> None:
    async def heard() -> bool:
        return bool(program.messages)

    await guide.until("the webhook of the run", heard)
    _, body = program.messages[-1]
    message = json.loads(body)
    guide.check(message["data"]["run_id"] == run["run_id"], f"the webhook told {message}")
    guide.check(program.is_signed(made["secret"]), "the signature is not the secret's")
    guide.say(f"the program got {message['type']} of {run['run_id']}, signed by its own secret")


async def _see(guide: Guide, owner: ReelmeshClient, run: Document) -> None:
    async def shown() -> bool:
        listed = await owner.call("GET", "/v1/notifications")
        return any(one["subject_id"] == run["run_id"] for one in listed["notifications"])

    await guide.until("the notification of the run", shown)
    guide.say("the user sees it among their notifications, unread")


async def _look_back(guide: Guide, owner: ReelmeshClient, org: str) -> None:
    async def logged() -> bool:
        path = f"/v1/orgs/{org}/audit-log?action=webhook_endpoint."
        return bool((await owner.call("GET", path))["entries"])

    await guide.until("the audit entry of the endpoint", logged)
    verdict = await owner.call("GET", f"/v1/orgs/{org}/audit-log:verify")
    guide.check(verdict["intact"], f"the audit log is broken at {verdict['broken_at']}")
    guide.say(
        f"the audit log has {verdict['entries']} entries, chained by hashes, and verifies: "
        f"{verdict['head'][:12]}…"
    )


@asynccontextmanager
async def _listening() -> AsyncIterator[Program]:
    program = Program()
    server = await asyncio.start_server(program.answer, "127.0.0.1", 0, limit=HEADER_BYTES_MAX)
    async with server:
        program.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield program
