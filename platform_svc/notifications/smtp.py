"""Delivers mails to an SMTP server."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import uuid
from dataclasses import dataclass, field
from email.message import EmailMessage

from platform_svc.notifications.mailer import NotDelivered, Refused

TIMEOUT_SECONDS = 30
PERMANENT_MIN = 500


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where it is and how to speak to it; `security` is "starttls", "tls" or "none"."""

    host: str
    port: int
    security: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """Opens one connection a mail, in a thread; the server must take the mail at once."""

    server: SmtpServer

    async def send(self, mail_id: uuid.UUID, message: EmailMessage) -> None:  # noqa: ARG002 - the message carries its id.
        """Hand the mail to the server.

        Raises:
            Refused: the server refuses this mail or its recipient for good (5xx).
            NotDelivered: it is away, or takes nothing now.
        """
        try:
            await asyncio.to_thread(self._deliver, message)
        # Only numbers and kinds are told on: a server may quote the mail in its answer.
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise _failure(min(codes), "recipient") from error
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise _failure(error.smtp_code, "mail") from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(f"the SMTP server: {type(error).__name__}") from error

    def _deliver(self, message: EmailMessage) -> None:
        with self._connect() as connection:
            if self.server.security == "starttls":
                connection.starttls(context=ssl.create_default_context())
            if self.server.user is not None:
                connection.login(self.server.user, self.server.password or "")
            connection.send_message(message)

    def _connect(self) -> smtplib.SMTP:
        place = (self.server.host, self.server.port)
        if self.server.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(*place, timeout=TIMEOUT_SECONDS, context=context)
        return smtplib.SMTP(*place, timeout=TIMEOUT_SECONDS)


def _failure(code: int, what: str) -> NotDelivered:
    kind = Refused if code >= PERMANENT_MIN else NotDelivered
    return kind(f"the SMTP server refused the {what} with {code}")
