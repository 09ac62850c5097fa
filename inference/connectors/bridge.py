"""Makes the calls that arrive through a message broker, as their senders, at the scheduler.

The bridge decides nothing: it passes each caller's own token on, so the scheduler authorises and
validates every call as if it had been dialled. It keeps no state and may run many times over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import grpc
from grpc.aio import AioRpcError
from prometheus_client import Counter
from reelmesh.inference.regions.v1 import lease_service_pb2 as lease_pb
from reelmesh.inference.regions.v1 import queued_call_pb2 as pb

from inference.connectors import messages
from inference.connectors.brokers.protocol import (
    Broker,
    BrokerAway,
    Delivery,
    MessageTooLarge,
)
from inference.connectors.protocol import Failure, Fault
from inference.connectors.queue_channel import DETAILS_KEY
from inference.connectors.queued_calls import (
    CALLS_QUEUE,
    FAIL_METHOD,
    LEASE_METHOD,
    MalformedCall,
    QueuedCall,
)
from meshkit.clock import Ambient
from meshkit.interceptors.authentication import SERVICE_KEY
from meshkit.interceptors.request_id import REQUEST_ID_KEY
from meshkit.interceptors.telemetry import TRACEPARENT_KEY
from meshkit.tasks import attempt

logger = logging.getLogger(__name__)

CALLS_MAX: Final = 256  # Under way at once; most are parked offers to work.
TAKE_MAX: Final = 10
TAKE_SECONDS: Final = 2.0
AWAY_PAUSE_SECONDS: Final = 0.25
RETRY_PAUSE_SECONDS: Final = 1.0
FAIL_SECONDS_MAX: Final = 5.0
PASSED_ON: Final = (SERVICE_KEY, REQUEST_ID_KEY, TRACEPARENT_KEY)

CALLS = Counter(
    "reelmesh_bridge_calls_total", "Calls from the broker by what became of them", ["ending"]
)


class Bridge:
    """Takes calls from one broker for as long as `run` runs."""

    def __init__(
        self, broker: Broker, scheduler: grpc.aio.Channel, *, ambient: Ambient | None = None
    ) -> None:
        self._broker = broker
        self._scheduler = scheduler
        self._ambient = ambient or Ambient()
        self._slots = asyncio.Semaphore(CALLS_MAX)
        self._under_way: set[asyncio.Task[bool]] = set()
        self.is_connected = False

    async def run(self) -> None:
        """Take calls for ever, through every absence of the broker; cancel it to take no more."""
        while True:
            try:
                await self._broker.declare(CALLS_QUEUE)
                self.is_connected = True
                while True:
                    await self._take()
            except BrokerAway as error:
                self.is_connected = False
                logger.warning("no calls from the broker", extra={"why": str(error)})
                await asyncio.sleep(AWAY_PAUSE_SECONDS)  # The pause between attempts.

    async def drain(self, seconds: float) -> None:
        """Wait for the calls under way; those that last longer are made again by another bridge."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _take(self) -> None:
        async with self._slots:
            deliveries = await self._broker.take(
                CALLS_QUEUE, limit=TAKE_MAX, wait_seconds=TAKE_SECONDS
            )
        for delivery in deliveries:
            await self._slots.acquire()
            task = asyncio.create_task(attempt("bridge-call", self._handle(delivery)))
            self._under_way.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[bool]) -> None:
        self._under_way.discard(task)
        self._slots.release()

    async def _handle(self, delivery: Delivery) -> None:
        try:
            ending = await self._answer(delivery)
        except BrokerAway as error:
            ending = "broker_away"
            logger.warning("a call is left to its redelivery", extra={"why": str(error)})
        CALLS.labels(ending).inc()

    async def _answer(self, delivery: Delivery) -> str:
        try:
            call = QueuedCall.decode(delivery.body)
        except MalformedCall as error:
            logger.warning(
                "a call was thrown away",
                extra={"why": str(error), "message_id": delivery.message_id},
            )
            await self._broker.ack(CALLS_QUEUE, delivery)
            return "malformed"
        seconds = (call.expires_at - self._ambient.now()).total_seconds()
        if seconds <= 0:
            await self._broker.ack(CALLS_QUEUE, delivery)
            return "expired"
        if call.method == LEASE_METHOD:
            # An offer that is heard twice would be granted work twice.
            await self._broker.ack(CALLS_QUEUE, delivery)
        reply = await self._call(call, seconds)
        if call.method != LEASE_METHOD:
            if reply.code == grpc.StatusCode.UNAVAILABLE.value[0]:
                await self._broker.release(CALLS_QUEUE, delivery, pause_seconds=RETRY_PAUSE_SECONDS)
                return "scheduler_away"
            await self._broker.ack(CALLS_QUEUE, delivery)
        await self._post(call, reply)
        return "answered" if reply.code == 0 else "refused"

    async def _call(self, call: QueuedCall, seconds: float) -> pb.QueuedReply:
        reply = pb.QueuedReply(call_id=call.call_id, method=call.method)
        try:
            reply.response = await self._make(call, call.method, call.request, seconds)
        except AioRpcError as error:
            reply.code = error.code().value[0]
            reply.message = error.details() or ""
            trailing = error.trailing_metadata()
            details = trailing.get(DETAILS_KEY) if trailing is not None else None
            reply.details = details if isinstance(details, bytes) else b""
        return reply

    async def _make(self, call: QueuedCall, path: str, request: bytes, seconds: float) -> bytes:
        """Call the scheduler as the sender of the call."""
        method: Callable[..., Awaitable[bytes]] = self._scheduler.unary_unary(path)
        metadata = [(key, call.metadata[key]) for key in PASSED_ON if key in call.metadata]
        return await method(request, timeout=seconds, metadata=metadata)

    async def _post(self, call: QueuedCall, reply: pb.QueuedReply) -> None:
        """Post the reply; leases that cannot reach their region are given back at once."""
        try:
            await self._broker.post(call.reply_to, reply.SerializeToString())
        except MessageTooLarge as error:
            logger.warning("a reply is too large for the broker", extra={"why": str(error)})
            # As a broken attempt, so that it does not go round for ever.
            await self._give_back(call, reply, Fault.ATTEMPT, "LEASE_TOO_LARGE")
        except BrokerAway:
            await self._give_back(call, reply, Fault.HANDED_BACK, "BROKER_AWAY")
            raise

    async def _give_back(
        self, call: QueuedCall, reply: pb.QueuedReply, fault: Fault, reason: str
    ) -> None:
        if call.method != LEASE_METHOD or reply.code != 0:
            return  # Its caller hears nothing and calls again.
        granted = lease_pb.LeaseJobsResponse.FromString(reply.response)
        for lease in map(messages.lease_of, granted.leases):
            failure = messages.failure_message(Failure(lease.key, fault, reason))
            try:
                await self._make(call, FAIL_METHOD, failure.SerializeToString(), FAIL_SECONDS_MAX)
            except AioRpcError as error:  # It expires by itself.
                logger.warning("a lease stays", extra={"why": error.details()})
