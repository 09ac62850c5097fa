"""Write use cases of the notifications service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import IdempotencyKeyReused, InvalidRequest
from platform_svc.notifications.mail import LIFETIME_DEFAULT, Mail, MailOrder, MailState
from platform_svc.notifications.store import MailStore
from platform_svc.notifications.templates import check_parameters


@dataclass(frozen=True, slots=True)
class MailCommands:
    """What may be done about mails; `queued` tells the worker of this process of new ones."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    queued: asyncio.Event = field(default_factory=asyncio.Event)

    async def queue(self, order: MailOrder) -> Mail:
        """Accept a mail, or give the one that was accepted with the same key.

        Raises:
            UnknownTemplate: no template has the name.
            WrongParameters: they are not those of the template.
            InvalidRequest: the recipient cannot stand in a mail.
            IdempotencyKeyReused: the key came with another template or recipient.
        """
        check_parameters(order.template, order.parameters)
        _check_recipient(order.recipient)
        now = self.ambient.now()
        mail = Mail(self.ambient.new_id(), MailState.QUEUED, now)
        expires_at = order.expires_at or now + LIFETIME_DEFAULT
        async with self.sessions.begin() as session:
            store = MailStore(session)
            if not await store.add(order, mail, expires_at=expires_at):
                earlier = await store.ordered_with(order.idempotency_key)
                assert earlier is not None, "mails are kept for longer than a transaction"
                mail, fingerprint = earlier
                if fingerprint != order.fingerprint():
                    raise IdempotencyKeyReused("the idempotency key names another mail")
        self.queued.set()
        return mail


def _check_recipient(recipient: str) -> None:
    try:
        Address(addr_spec=recipient)
    except (ValueError, IndexError, MessageError):
        description = "is no address that a mail can be sent to"
        raise InvalidRequest(
            f"recipient {description}", field_violations=[("recipient", description)]
        ) from None
