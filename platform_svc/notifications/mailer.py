"""The port through which mails leave, and how a delivery may fail."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol

from platform_svc.notifications.templates import Content


class NotDelivered(Exception):
    """The mail could not be handed over now; its text is safe to keep and show."""


class Refused(NotDelivered):
    """The mail will never be taken, such as for a recipient that does not exist."""


class Mailer(Protocol):
    """Hands mails over to whoever delivers them."""

    async def send(self, mail_id: uuid.UUID, message: EmailMessage) -> None:
        """Hand one mail over; the same id again is the same mail.

        Raises:
            Refused: for good.
            NotDelivered: for now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who a mail is from and for, and when it was written."""

    mail_id: uuid.UUID
    sender: str
    recipient: str
    written_at: datetime


def compose(envelope: Envelope, content: Content) -> EmailMessage:
    """Make the message (RFC 5322), with the text and its HTML alternative."""
    message = EmailMessage()
    message["Subject"] = content.subject
    message["From"] = envelope.sender
    message["To"] = Address(addr_spec=envelope.recipient)
    message["Date"] = format_datetime(envelope.written_at)
    # A repeat after a lost reply has the same id, by which mail programs drop the double.
    domain = envelope.sender.rpartition("@")[2].strip("> ")
    message["Message-ID"] = f"<{envelope.mail_id}@{domain}>"
    # No vacation notices, please (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(content.text)
    message.add_alternative(content.html, subtype="html")
    return message
