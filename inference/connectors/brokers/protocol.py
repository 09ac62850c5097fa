"""What a message broker must do: queues with acknowledgement, and mailboxes for replies.

A queue delivers each message at least once: it comes again until it is acknowledged. A mailbox
delivers at most once and only to who listens. Neither decides anything about jobs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self

# What every broker accepts as a name, and as long as the strictest of them allows.
QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
# Replies go nowhere else, so that a caller cannot have others' queues written to.
MAILBOX_NAME: Final = re.compile(r"rm-replies-[A-Za-z0-9_-]{1,60}")
# An unacknowledged message is delivered again after this time.
REDELIVERY_SECONDS: Final = 30.0
# What a mailbox keeps for a listener that does not fetch it.
REPLY_SECONDS_KEPT: Final = 60


class BrokerAway(Exception):
    """The broker did not answer; whether it took the last message is unknown."""


class MessageTooLarge(Exception):
    """The broker refuses a message of this size, now and later."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a message; `receipt` is what its broker needs to acknowledge it.

    `message_id` is what the sender gave, or else the broker's own id, which is the same in every
    delivery of one message.
    """

    message_id: str
    body: bytes
    receipt: Any


class Broker(Protocol):
    """One message broker, as an async context manager.

    Entering does not wait for the broker. Every method raises `BrokerAway` when it does not
    answer, and works again when it is back.
    """

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        ...

    async def declare(self, queue: str) -> None:
        """Make a queue unless there is one; an existing one stays as it is."""
        ...

    async def put(self, queue: str, body: bytes, *, message_id: str) -> None:
        """Store a message durably; the same id again is stored once or twice.

        Raises:
            MessageTooLarge: the broker takes no message of this size.
        """
        ...

    async def take(self, queue: str, *, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Wait for messages; gives at least one as soon as there is one, or none after the wait.

        Only one taker gets a message until it is released or its redelivery time is over.
        """
        ...

    async def ack(self, queue: str, delivery: Delivery) -> None:
        """Delete a message from its queue; harmless when done twice."""
        ...

    async def release(self, queue: str, delivery: Delivery, *, pause_seconds: float) -> None:
        """Give a message back, to be delivered after the pause or the redelivery time."""
        ...

    async def listen(self, mailbox: str) -> None:
        """Open a mailbox; what is posted before may be lost."""
        ...

    async def receive(self, mailbox: str, *, wait_seconds: float) -> Sequence[bytes]:
        """Wait for what is posted to a mailbox that was opened here."""
        ...

    async def close(self, mailbox: str) -> None:
        """Close a mailbox and delete what nobody fetched."""
        ...

    async def post(self, mailbox: str, body: bytes) -> None:
        """Post to a mailbox; it is lost when nobody listens.

        Raises:
            MessageTooLarge: the broker takes no message of this size.
        """
        ...
