"""What a stop of the tour has at hand: users, mails, the data folder, and a voice."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from deploy.account import new_credentials, sign_in_as_operator
from deploy.client import ApiError, Document, ReelmeshClient
from deploy.local.failures import LocalFailure
from deploy.local.layout import Layout

WAIT_SECONDS_MAX: Final = 60.0
POLL_SECONDS: Final = 0.1
SUCCEEDED: Final = "succeeded"


class TourFailed(LocalFailure):
    """A stop of the tour did not see what it must see."""


@dataclass
class Guide:
    """Leads one stop; what it says is shown and kept."""

    gateway_url: str
    layout: Layout
    said: list[str] = field(default_factory=list)

    def say(self, fact: str) -> None:
        """Tell one thing that has just been seen to happen."""
        self.said.append(fact)

    def check(self, holds: object, otherwise: str) -> None:
        """Demand that something holds.

        Raises:
            TourFailed: it does not; `otherwise` says what was seen instead.
        """
        if not holds:
            raise TourFailed(f"{otherwise}.")

    @asynccontextmanager
    async def user(self, name: str) -> AsyncIterator[ReelmeshClient]:
        """Give a client that is signed in as a new user."""
        async with ReelmeshClient(self.gateway_url) as client:
            address, password = new_credentials(name)
            await client.sign_up(address, password, name.title())
            yield client

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[ReelmeshClient]:
        """Give a client that is signed in as the operator of this data folder."""
        async with ReelmeshClient(self.gateway_url) as client:
            await sign_in_as_operator(client, self.layout)
            yield client

    async def refused(self, call: Awaitable[object], reason: str) -> None:
        """Demand that a call is refused for this reason."""
        try:
            await call
        except ApiError as error:
            self.check(error.reason == reason, f"refused with {error.reason}, not {reason}")
        else:
            raise TourFailed(f"A call went through that must be refused with {reason}.")

    async def until(self, what: str, condition: Callable[[], Awaitable[object]]) -> None:
        """Wait until something has happened, which another process does in its own time."""
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while not await condition():  # noqa: ASYNC110 - other processes set no events here
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise TourFailed(
                f"After {WAIT_SECONDS_MAX:.0f} seconds still not: {what}. The logs of the "
                "services, `reelmesh logs`, may tell why."
            ) from error

    async def picture(self, client: ReelmeshClient, prompt: str, steps: int = 4) -> Document:
        """Run text-to-image and give the run when it has succeeded."""
        begun = await client.run("text-to-image", {"prompt": prompt, "steps": steps})
        run = await client.finished(begun["run_id"])
        self.check(run["state"] == SUCCEEDED, f"the run {run['run_id']} ended {run['state']}")
        return run

    async def mailed(self, address: str, subject: str, pattern: str) -> str:
        """Wait for a mail to an address and give what the pattern's first group finds in it."""
        found: list[str] = []

        async def arrived() -> bool:
            texts = await asyncio.to_thread(self._mails, address, subject)
            found[:] = [match[1] for text in texts if (match := re.search(pattern, text))]
            return bool(found)

        await self.until(f"a mail '{subject}' to {address}", arrived)
        return found[-1]

    def _mails(self, address: str, subject: str) -> list[str]:
        texts = []
        for path in sorted(self.layout.mail.glob("*.eml")):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            body = message.get_body(("plain",))
            if message["To"] == address and subject in message["Subject"] and body is not None:
                texts.append(str(body.get_content()))
        return texts
