"""A broker on Amazon SQS or what speaks its protocol; a mailbox is a queue of its own."""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from inference.connectors.brokers.protocol import (
    REDELIVERY_SECONDS,
    REPLY_SECONDS_KEPT,
    BrokerAway,
    Delivery,
    MessageTooLarge,
)

T = TypeVar("T")

THREADS: Final = 16
BATCH_MAX: Final = 10
WAIT_SECONDS_MAX: Final = 20
PAUSE_SECONDS_MAX: Final = 43_200
KEPT_SECONDS: Final = 14 * 24 * 3600
MESSAGE_ID: Final = "message_id"
ENCODING: Final = "encoding"
BASE64: Final = "base64"
MISSING: Final = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
TOO_LARGE: Final = frozenset({"InvalidParameterValue", "InvalidMessageContents"})


class SqsBroker:
    """Queues of one account and region.

    The URL is `sqs+https://HOST?region=us-east-1`; without user and password in it the client
    finds its credentials as AWS clients do. Foreign senders put text and, if they wish, a
    `message_id` attribute.
    """

    def __init__(self, url: str, *, redelivery_seconds: float = REDELIVERY_SECONDS) -> None:
        self._redelivery_seconds = max(math.ceil(redelivery_seconds), 1)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sqs")
        self._client: Any = _client(url)
        self._urls: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Open nothing yet: connections are made when they are needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections; calls under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def declare(self, queue: str) -> None:
        """Make the queue unless it is there."""
        self._urls.pop(queue, None)
        try:
            await self._address(queue)
        except BrokerAway as error:
            if not _is_missing(error.__cause__):
                raise
            await self._create(queue, kept_seconds=KEPT_SECONDS)

    async def put(self, queue: str, body: bytes, *, message_id: str) -> None:
        """Send a message."""
        await self._send(queue, body, {MESSAGE_ID: message_id})

    async def take(self, queue: str, *, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Receive messages, waiting in whole seconds."""
        answer = await self._call(
            queue,
            "receive_message",
            MaxNumberOfMessages=min(limit, BATCH_MAX),
            WaitTimeSeconds=min(math.ceil(wait_seconds), WAIT_SECONDS_MAX),
            MessageAttributeNames=["All"],
        )
        return [_delivery(message) for message in answer.get("Messages", ())]

    async def ack(self, queue: str, delivery: Delivery) -> None:
        """Delete a message."""
        await self._call(queue, "delete_message", ReceiptHandle=delivery.receipt)

    async def release(self, queue: str, delivery: Delivery, *, pause_seconds: float) -> None:
        """Let a message be received again after the pause."""
        await self._call(
            queue,
            "change_message_visibility",
            ReceiptHandle=delivery.receipt,
            VisibilityTimeout=min(math.ceil(pause_seconds), PAUSE_SECONDS_MAX),
        )

    async def listen(self, mailbox: str) -> None:
        """Make a queue for the replies."""
        await self._create(mailbox, kept_seconds=REPLY_SECONDS_KEPT)

    async def receive(self, mailbox: str, *, wait_seconds: float) -> Sequence[bytes]:
        """Receive and delete replies."""
        deliveries = await self.take(mailbox, limit=BATCH_MAX, wait_seconds=wait_seconds)
        for delivery in deliveries:
            await self.ack(mailbox, delivery)
        return [delivery.body for delivery in deliveries]

    async def close(self, mailbox: str) -> None:
        """Delete the queue of the replies."""
        await self._call(mailbox, "delete_queue")

    async def post(self, mailbox: str, body: bytes) -> None:
        """Send to the queue of the replies."""
        await self._send(mailbox, body, {})

    async def _send(self, queue: str, body: bytes, attributes: Mapping[str, str]) -> None:
        # The service refuses control characters in texts.
        attributes = {**attributes, ENCODING: BASE64}
        await self._call(
            queue,
            "send_message",
            MessageBody=base64.b64encode(body).decode(),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )

    async def _create(self, queue: str, *, kept_seconds: int) -> None:
        attributes = {
            "VisibilityTimeout": str(self._redelivery_seconds),
            "MessageRetentionPeriod": str(kept_seconds),
        }
        answer = await self._run(
            lambda: self._client.create_queue(QueueName=queue, Attributes=attributes)
        )
        self._urls[queue] = answer["QueueUrl"]

    async def _address(self, queue: str) -> str:
        if queue not in self._urls:
            answer = await self._run(lambda: self._client.get_queue_url(QueueName=queue))
            self._urls[queue] = answer["QueueUrl"]
        return self._urls[queue]

    async def _call(self, queue: str, operation: str, **arguments: Any) -> dict[str, Any]:
        address = await self._address(queue)
        call = getattr(self._client, operation)
        try:
            answer: dict[str, Any] = await self._run(lambda: call(QueueUrl=address, **arguments))
        except BrokerAway:
            self._urls.pop(queue, None)  # It may have been made again under another address.
            raise
        return answer

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ClientError as error:
            if error.response["Error"]["Code"] in TOO_LARGE and "SendMessage" in str(error):
                raise MessageTooLarge(str(error)) from error
            raise BrokerAway(str(error)) from error
        except (BotoCoreError, OSError) as error:
            raise BrokerAway(repr(error)) from error


def _client(url: str) -> Any:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    keys: dict[str, str] = {}
    if parts.username and parts.password:
        keys = {
            "aws_access_key_id": unquote(parts.username),
            "aws_secret_access_key": unquote(parts.password),
        }
    return boto3.session.Session().client(
        "sqs",
        endpoint_url=f"{parts.scheme.removeprefix('sqs+')}://{host}",
        region_name=parse_qs(parts.query).get("region", ["us-east-1"])[0],
        config=Config(
            connect_timeout=5,
            read_timeout=WAIT_SECONDS_MAX + 10,
            retries={"total_max_attempts": 1},  # Whoever calls tries again.
            max_pool_connections=THREADS,
        ),
        **keys,
    )


def _delivery(message: Mapping[str, Any]) -> Delivery:
    attributes = {
        name: value.get("StringValue", "")
        for name, value in message.get("MessageAttributes", {}).items()
    }
    body = message["Body"].encode()
    if attributes.get(ENCODING) == BASE64:
        with suppress(binascii.Error):  # Else whoever reads it will refuse it.
            body = base64.b64decode(body, validate=True)
    message_id = attributes.get(MESSAGE_ID) or message["MessageId"]
    return Delivery(message_id, body, message["ReceiptHandle"])


def _is_missing(error: BaseException | None) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in MISSING
