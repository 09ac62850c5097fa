"""Background work of the notifications service: sends queued mails, forgets what is old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.tasks import attempt, periodic
from platform_svc.notifications import inbox, webhooks
from platform_svc.notifications.delivery_store import DeliveryStore
from platform_svc.notifications.endpoint_store import EndpointStore
from platform_svc.notifications.inbox_store import InboxStore
from platform_svc.notifications.invariants import offenders
from platform_svc.notifications.mail import MailState, Outgoing, pause_after
from platform_svc.notifications.mailer import Envelope, Mailer, NotDelivered, Refused, compose
from platform_svc.notifications.store import MailStore
from platform_svc.notifications.templates import render

POLL_SECONDS = 1.0
BATCH_MAX = 20
# Longer than an SMTP server may take; a worker that dies leaves its mails to others after it.
LEASE = timedelta(minutes=2)
FORGET_EVERY = timedelta(hours=1)
KEPT = timedelta(days=30)

QUEUED = Gauge("reelmesh_mails_queued", "Mails that wait to be sent")
FINISHED = Counter("reelmesh_mails_finished", "Mails by how they ended", ["state"])
OFFENDERS = Gauge("reelmesh_notifications_offenders", "Rows that break a fact", ["invariant"])
ATTEMPTS_FAILED = Counter("reelmesh_mail_attempts_failed", "Deliveries that did not succeed")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MailWorker:
    """Sends mails at least once, oldest first; any number of workers may run."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    mailer: Mailer
    sender: str
    queued: asyncio.Event

    async def run(self) -> None:
        """Send for ever: at once after a mail was queued here, else every second."""
        while True:
            self.queued.clear()
            while await self.send_batch() == BATCH_MAX:
                pass
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self.queued.wait()
            except TimeoutError:
                await self._measure()

    async def send_batch(self) -> int:
        """Try up to 20 mails that are due and say how many there were."""
        async with self.sessions.begin() as session:
            claimed = await MailStore(session).claim(
                now=self.ambient.now(), lease=LEASE, count=BATCH_MAX
            )
        # One mail that fails in an unforeseen way must not hold up the others.
        await asyncio.gather(*(attempt("notifications-mail", self._send(mail)) for mail in claimed))
        return len(claimed)

    async def _send(self, mail: Outgoing) -> None:
        if self.ambient.now() >= mail.expires_at:
            await self._finish(mail, MailState.FAILED, failure="expired")
            return
        envelope = Envelope(mail.id, self.sender, mail.recipient, mail.created_at)
        message = compose(envelope, render(mail.template, mail.parameters))
        try:
            await self.mailer.send(mail.id, message)
        except Refused as error:
            await self._finish(mail, MailState.FAILED, failure=str(error))
        except NotDelivered as error:
            await self._postpone(mail, str(error))
        else:
            await self._finish(mail, MailState.SENT)

    async def _finish(self, mail: Outgoing, state: MailState, failure: str | None = None) -> None:
        async with self.sessions.begin() as session:
            await MailStore(session).finish(mail.id, state, now=self.ambient.now(), failure=failure)
        FINISHED.labels(state=state).inc()
        level = logging.INFO if state is MailState.SENT else logging.ERROR
        _log.log(level, "mail %s", state, extra=_facts(mail, failure))

    async def _postpone(self, mail: Outgoing, failure: str) -> None:
        until = self.ambient.now() + pause_after(mail.attempts)
        async with self.sessions.begin() as session:
            await MailStore(session).postpone(mail.id, until=until, failure=failure)
        ATTEMPTS_FAILED.inc()
        _log.warning("mail not delivered", extra=_facts(mail, failure))

    async def _measure(self) -> None:
        async with self.sessions() as session:
            QUEUED.set(await MailStore(session).count_queued())


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Deletes mails, notifications, webhook messages and secrets that are over for long."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def run(self) -> None:
        """Forget at each interval."""
        await periodic("notifications-forgetting", FORGET_EVERY.total_seconds(), self.forget)

    async def forget(self) -> None:
        """Delete mails and webhooks after 30 days, notifications after 90."""
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            await MailStore(session).delete_finished(before=now - KEPT)
        async with self.sessions.begin() as session:
            await InboxStore(session).delete_old(before=now - inbox.KEPT)
        async with self.sessions.begin() as session:
            await DeliveryStore(session).delete_messages(before=now - webhooks.KEPT)
            await EndpointStore(session).delete_secrets(before=now)


@dataclass(frozen=True, slots=True)
class WebhookCheck:
    """Finds what breaks the invariants of webhooks."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def look(self) -> Mapping[str, Sequence[str]]:
        """Give the facts that do not hold, with what breaks them."""
        async with self.sessions() as session:
            return await offenders(session, now=self.ambient.now())


def _facts(mail: Outgoing, failure: str | None) -> dict[str, object]:
    """Give what a log may say of a mail: neither to whom it goes nor what it says."""
    facts = {"mail_id": str(mail.id), "template": mail.template, "attempts": mail.attempts}
    return facts if failure is None else {**facts, "failure": failure}
