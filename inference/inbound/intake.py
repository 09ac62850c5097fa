"""Takes messages from a foreign queue and acknowledges each only when its fate is stored.

A message becomes a job, or a dead letter with the reason, or stays in its queue. The scheduler's
unique idempotency key makes every further delivery the same job.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import Any, Final

import grpc
from grpc.aio import AioRpcError
from prometheus_client import Counter

from inference.connectors.brokers.protocol import (
    Broker,
    BrokerAway,
    Delivery,
    MessageTooLarge,
)
from inference.inbound.reading import Malformed, read_submission
from inference.inbound.settings import InboundSource
from meshkit.clock import Ambient
from meshkit.stubs import RemoteError

logger = logging.getLogger(__name__)

WORKERS: Final = 4
TAKE_MAX: Final = 10
TAKE_SECONDS: Final = 2.0
AWAY_PAUSE_SECONDS: Final = 0.5
RETRY_PAUSE_SECONDS: Final = 2.0
# Each message of a batch must be done well within the broker's redelivery time.
SUBMIT_SECONDS_MAX: Final = 2.5
# What the scheduler will answer to the same message again and again.
FINAL: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
    }
)

MESSAGES = Counter(
    "reelmesh_inbound_messages_total",
    "Deliveries of foreign messages by what became of them",
    ["source", "ending"],
)


class Intake:
    """One foreign queue; `jobs` is a stub of JobsService that calls as "inbound"."""

    def __init__(
        self, broker: Broker, jobs: Any, source: InboundSource, *, ambient: Ambient | None = None
    ) -> None:
        self._broker = broker
        self._jobs = jobs
        self._source = source
        self._ambient = ambient or Ambient()
        self.problem: str | None = "the broker has not answered yet"

    async def run(self) -> None:
        """Take messages for ever, through every absence of the broker and of the scheduler."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._work())

    async def _work(self) -> None:
        source = self._source
        while True:
            try:
                await self._broker.declare(source.queue)
                await self._broker.declare(source.dead_letters)
                while True:
                    deliveries = await self._broker.take(
                        source.queue, limit=TAKE_MAX, wait_seconds=TAKE_SECONDS
                    )
                    self.problem = None
                    for delivery in deliveries:
                        ending = await self._handle(delivery)
                        MESSAGES.labels(source.name, ending).inc()
            except BrokerAway as error:
                self.problem = "the broker does not answer"
                logger.warning("no messages from the broker", extra={"why": str(error)})
                await asyncio.sleep(AWAY_PAUSE_SECONDS)  # The pause between attempts.

    async def _handle(self, delivery: Delivery) -> str:
        try:
            request = read_submission(delivery, self._source)
            job = await self._jobs.SubmitJob(request, timeout=SUBMIT_SECONDS_MAX)
        except Malformed as error:
            return await self._bury(delivery, error.reason, error.detail)
        except AioRpcError as error:
            refusal = RemoteError.of(error)
            if refusal is not None and refusal.code in FINAL:
                return await self._bury(delivery, refusal.reason, str(refusal))
            return await self._delay(delivery, f"{error.code().name}: {error.details()}")
        # Only now, when the job is committed, may the message go.
        await self._broker.ack(self._source.queue, delivery)
        logger.info(
            "a message is a job", extra={"message_id": delivery.message_id, "job": job.job_id}
        )
        return "job"

    async def _delay(self, delivery: Delivery, why: str) -> str:
        """Leave a message whose turn has not come: the scheduler is away, or refuses us."""
        logger.warning(
            "a message has to wait", extra={"message_id": delivery.message_id, "why": why}
        )
        await self._broker.release(self._source.queue, delivery, pause_seconds=RETRY_PAUSE_SECONDS)
        return "delayed"

    async def _bury(self, delivery: Delivery, reason: str, detail: str) -> str:
        """Move a message to the dead letters; a crash in between moves it again, never loses it."""
        letter = {
            "source": self._source.name,
            "message_id": delivery.message_id,
            "reason": reason,
            "detail": detail,
            "buried_at": self._ambient.now().isoformat(),
            "body_base64": base64.b64encode(delivery.body).decode(),
        }
        try:
            await self._broker.put(
                self._source.dead_letters,
                json.dumps(letter).encode(),
                message_id=delivery.message_id,
            )
        except MessageTooLarge:
            return await self._delay(delivery, f"{reason}, and too large for a dead letter")
        await self._broker.ack(self._source.queue, delivery)
        logger.warning(
            "a message is a dead letter",
            extra={"message_id": delivery.message_id, "reason": reason, "detail": detail},
        )
        return "dead_letter"
