"""Background work of the webhook worker: makes the deliveries that are due."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import uuid
from collections import Counter as Multiset
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Counter, Histogram
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.audit import Change, record
from meshkit.clock import Ambient
from meshkit.ids import format_id
from meshkit.notices import Notice, raise_notice
from meshkit.sealing import Sealer
from meshkit.tasks import attempt
from platform_svc.notifications.delivery_store import Claimed, DeliveryStore
from platform_svc.notifications.endpoint_commands import seal_context
from platform_svc.notifications.endpoint_store import EndpointStore
from platform_svc.notifications.posting import Poster
from platform_svc.notifications.signing import headers_of
from platform_svc.notifications.webhooks import (
    DISABLED_TYPE,
    Answer,
    Attempt,
    DeliveryState,
    Disabled,
    Endpoint,
    disabled_by,
    pause_after,
)

POLL_SECONDS: Final = 1.0
IN_FLIGHT_MAX: Final = 64
IN_FLIGHT_OF_ONE_MAX: Final = 4
# Longer than an attempt may take; a worker that dies leaves its deliveries to others after it.
LEASE: Final = timedelta(seconds=60)
JITTER_STEPS: Final = 1000
USER_AGENT: Final = "Reelmesh-Webhooks/1"

ATTEMPTS = Counter("reelmesh_webhook_attempts", "Attempts to deliver webhooks", ["outcome"])
SECONDS = Histogram("reelmesh_webhook_attempt_seconds", "How long attempts took")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryWorker:
    """Makes deliveries at least once; any number of workers may run.

    `wait` returns after so many seconds, or when something may be due.
    """

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    poster: Poster
    sealer: Sealer
    wait: Callable[[float], Awaitable[object]]
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _of_endpoint: Multiset[uuid.UUID] = field(default_factory=Multiset)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Deliver for ever; an endpoint that is slow holds up nobody but itself."""
        try:
            while True:
                # Cleared first: what ends during the look must not be missed.
                self._ended.clear()
                if await self.start_due() == 0:
                    await self._pause()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _pause(self) -> None:
        """Wait until something may be due, or a delivery has ended and made room for others."""
        waiting = {
            asyncio.ensure_future(self.wait(POLL_SECONDS)),
            asyncio.ensure_future(self._ended.wait()),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def deliver_due(self) -> int:
        """Make what is due, wait until that is done and say how many deliveries it was."""
        started = await self.start_due()
        await asyncio.gather(*self._under_way)
        return started

    async def start_due(self) -> int:
        """Begin as many deliveries as there is room for and say how many."""
        room = IN_FLIGHT_MAX - len(self._under_way)
        if room <= 0:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            return 1
        busy = [one for one, count in self._of_endpoint.items() if count > 0]
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            claimed = await DeliveryStore(session).claim(
                now=now, until=now + LEASE, busy=busy, counts=(room, IN_FLIGHT_OF_ONE_MAX)
            )
        for one in claimed:
            self._of_endpoint[one.endpoint_id] += 1
            task = asyncio.create_task(self._guarded(one))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(claimed)

    async def _guarded(self, claimed: Claimed) -> None:
        try:
            # One that fails in an unforeseen way is claimed again when its lease is over.
            await attempt("notifications-webhook", self._deliver(claimed))
        finally:
            self._of_endpoint[claimed.endpoint_id] -= 1
            self._ended.set()

    async def _deliver(self, claimed: Claimed) -> None:
        started_at, began = self.ambient.now(), time.monotonic()
        body = claimed.payload.encode()
        headers = await self._headers(claimed, body, started_at)
        answer = await self.poster.post(claimed.url, body, headers, now=started_at)
        seconds = time.monotonic() - began
        SECONDS.observe(seconds)
        ATTEMPTS.labels(outcome="succeeded" if answer.succeeded else "failed").inc()
        tried = Attempt(claimed.attempts, started_at, round(seconds * 1000), answer)
        async with self.sessions.begin() as session:
            endpoints, deliveries = EndpointStore(session), DeliveryStore(session)
            await endpoints.lock(claimed.endpoint_id)
            endpoint = await endpoints.find(claimed.org_id, claimed.endpoint_id, now=started_at)
            if endpoint is None or not await deliveries.lock_pending(claimed.id):
                return  # Removed, canceled, or made by another worker after our lease.
            await deliveries.log(claimed.id, tried)
            if answer.succeeded:
                await self._succeeded(session, endpoint, claimed)
            else:
                await self._failed(session, endpoint, claimed, answer)

    async def _headers(self, claimed: Claimed, body: bytes, now: datetime) -> dict[str, str]:
        async with self.sessions() as session:
            sealed = await EndpointStore(session).secrets(claimed.endpoint_id, now=now)
        context = seal_context(claimed.endpoint_id)
        secrets_now = [self.sealer.open(one, context=context) for one in sealed]
        return {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            **headers_of(format_id("msg", claimed.message_id), body, secrets_now, now=now),
        }

    async def _succeeded(self, session: AsyncSession, endpoint: Endpoint, done: Claimed) -> None:
        now = self.ambient.now()
        await DeliveryStore(session).finish(done.id, DeliveryState.SUCCEEDED, now=now)
        if endpoint.failing_since is not None:
            await EndpointStore(session).note_failing(endpoint.id, since=None)

    async def _failed(
        self, session: AsyncSession, endpoint: Endpoint, tried: Claimed, answer: Answer
    ) -> None:
        now = self.ambient.now()
        deliveries = DeliveryStore(session)
        failing_since = endpoint.failing_since or now
        jitter = secrets.randbelow(JITTER_STEPS) / JITTER_STEPS
        pause = pause_after(tried.attempts, answer, jitter=jitter)
        because = disabled_by(answer, failing_since, now)
        if pause is None or because is not None:
            await deliveries.finish(tried.id, DeliveryState.FAILED, now=now)
        else:
            await deliveries.postpone(tried.id, until=now + pause)
        if endpoint.failing_since is None:
            await EndpointStore(session).note_failing(endpoint.id, since=now)
        if because is not None and endpoint.disabled is None:
            await self._disable(session, endpoint, because)
        _log.warning(
            "a webhook was not delivered",
            extra={
                "delivery_id": format_id("dlv", tried.id),
                "endpoint_id": format_id("whe", endpoint.id),
                "attempts": tried.attempts,
                "failure": answer.failure,
            },
        )

    async def _disable(self, session: AsyncSession, endpoint: Endpoint, because: Disabled) -> None:
        """Disable an endpoint, cancel what waits for it and tell who made it."""
        now = self.ambient.now()
        await EndpointStore(session).disable(endpoint.id, because)
        await DeliveryStore(session).cancel_all(endpoint.id, now=now)
        endpoint_id = format_id("whe", endpoint.id)
        details = {"endpoint_id": endpoint_id, "reason": because.value}
        change = Change(DISABLED_TYPE, endpoint.org_id, (endpoint_id,), {"reason": because.value})
        await record(session, change, self.ambient)
        notice = Notice(
            DISABLED_TYPE,
            endpoint.org_id,
            "A webhook endpoint was disabled, since it does not take messages",
            subject_id=endpoint_id,
            user_ids=(endpoint.created_by,),
            data=details,
        )
        await raise_notice(session, notice, self.ambient)
