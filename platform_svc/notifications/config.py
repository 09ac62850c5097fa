"""Settings of the notifications service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from meshkit.config import Environment
from meshkit.invariants import check_interval
from platform_svc.notifications.smtp import SmtpServer
from platform_svc.notifications.webhook_config import WebhookSettings

SENDER_DEFAULT = "Reelmesh <no-reply@reelmesh.local>"
TRANSPORTS = ("files", "smtp")
SECURITIES = ("starttls", "tls", "none")
PORT_DEFAULT = 587
PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class NotificationsSettings:
    """Who mails are from, and either the folder or the server that they go to; webhooks."""

    sender: str
    folder: Path | None
    smtp: SmtpServer | None
    webhooks: WebhookSettings
    check_every: timedelta

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_MAIL_TRANSPORT ("files" or "smtp") and what that one needs.

        REELMESH_NOTIFICATIONS_CHECK_SECONDS is how often the invariants are checked.
        """
        transport = environment.choice(
            "REELMESH_MAIL_TRANSPORT", choices=TRANSPORTS, default="files"
        )
        is_smtp = transport == "smtp"
        return cls(
            sender=environment.text("REELMESH_MAIL_FROM", default=SENDER_DEFAULT),
            folder=None if is_smtp else environment.path("REELMESH_MAIL_FOLDER", must_exist=False),
            smtp=_smtp(environment) if is_smtp else None,
            webhooks=WebhookSettings.from_environment(environment),
            check_every=check_interval(environment, "REELMESH_NOTIFICATIONS_CHECK_SECONDS"),
        )


def _smtp(environment: Environment) -> SmtpServer:
    user = environment.text("REELMESH_SMTP_USER", default="") or None
    security = environment.choice("REELMESH_SMTP_SECURITY", choices=SECURITIES, default="starttls")
    if user is not None and security == "none":
        environment.refuse("REELMESH_SMTP_USER", "would send its password in clear text")
    return SmtpServer(
        host=environment.text("REELMESH_SMTP_HOST"),
        port=environment.integer(
            "REELMESH_SMTP_PORT", minimum=1, maximum=PORT_MAX, default=PORT_DEFAULT
        ),
        security=security,
        user=user,
        password=None if user is None else environment.secret_file("REELMESH_SMTP_PASSWORD_FILE"),
    )
