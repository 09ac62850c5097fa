"""The mailers: a folder of files, and a real SMTP server."""

from __future__ import annotations

import asyncio
import base64
import stat
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from meshkit.config import Environment, InvalidConfiguration
from meshkit.testing.processes import free_ports
from platform_svc.notifications.config import NotificationsSettings
from platform_svc.notifications.mail_folder import MailFolder
from platform_svc.notifications.mailer import Envelope, NotDelivered, Refused, compose
from platform_svc.notifications.smtp import SmtpMailer, SmtpServer
from platform_svc.notifications.templates import render

MAIL_ID = uuid.UUID(int=7)
ENVELOPE = Envelope(
    MAIL_ID, "no-reply@reelmesh.test", "ada@example.com", datetime(2026, 1, 10, tzinfo=UTC)
)
CODE = "the-secret-code"


def message(recipient: str = "ada@example.com") -> EmailMessage:
    parameters = {"display_name": "Zoë", "minutes": "30", "code": CODE}
    envelope = replace(ENVELOPE, recipient=recipient)
    return compose(envelope, render("verify-email", parameters))


class Server:
    """What aiosmtpd asks: takes mails, and refuses as it is told to."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.answer = "250 OK"
        self.recipient_answer = "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.received.append(envelope.content)
        return self.answer


def authenticate(server, session, envelope, mechanism, data) -> AuthResult:
    good = isinstance(data, LoginPassword) and data == LoginPassword(b"reelmesh", b"pass word")
    return AuthResult(success=good, handled=False)


@pytest.fixture
def smtp() -> Iterator[tuple[Server, SmtpServer]]:
    handler = Server()
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=free_ports(1)[0],
        authenticator=authenticate,
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield handler, SmtpServer("127.0.0.1", controller.port, "none")
    finally:
        controller.stop()


async def test_a_mail_lands_in_a_file_of_its_own(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path / "data" / "mail")
    await asyncio.gather(*(folder.send(MAIL_ID, message()) for _ in range(20)))
    (path,) = folder.folder.iterdir()
    assert path.name == f"{MAIL_ID}.eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert "Hello Zoë" in read.get_body(("plain",)).get_content()
    assert CODE in read.get_body(("html",)).get_content()


async def test_a_folder_that_cannot_be_written_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotDelivered):
        await MailFolder(tmp_path / "file" / "mail").send(MAIL_ID, message())


async def test_an_smtp_server_gets_the_mail(smtp) -> None:
    handler, server = smtp
    await SmtpMailer(server).send(MAIL_ID, message())
    (data,) = handler.received
    read = message_from_bytes(data, policy=policy.default)
    assert (read["To"], read["Subject"]) == ("ada@example.com", "Confirm your email address")
    assert CODE in read.get_body(("plain",)).get_content()


async def test_the_user_and_password_are_given_to_the_server(smtp) -> None:
    handler, server = smtp
    await SmtpMailer(replace(server, user="reelmesh", password="pass word")).send(
        MAIL_ID, message()
    )
    assert len(handler.received) == 1
    wrong = replace(server, user="reelmesh", password="wrong")
    assert "wrong" not in repr(wrong)
    with pytest.raises(NotDelivered):
        await SmtpMailer(wrong).send(MAIL_ID, message())


@pytest.mark.parametrize("where", ["answer", "recipient_answer"])
@pytest.mark.parametrize(("code", "kind"), [("554", Refused), ("451", NotDelivered)])
async def test_a_refusal_is_for_good_or_for_now(smtp, where, code, kind) -> None:
    handler, server = smtp
    setattr(handler, where, f"{code} not {CODE}")
    with pytest.raises(NotDelivered) as failed:
        await SmtpMailer(server).send(MAIL_ID, message())
    assert type(failed.value) is kind
    assert code in str(failed.value)
    # The server's words may quote the mail.
    assert CODE not in str(failed.value)


async def test_a_server_that_is_away_or_speaks_no_tls_gets_nothing(smtp) -> None:
    handler, server = smtp
    for bad in (replace(server, port=free_ports(1)[0]), replace(server, security="starttls")):
        with pytest.raises(NotDelivered) as failed:
            await SmtpMailer(bad).send(MAIL_ID, message())
        assert type(failed.value) is NotDelivered
    assert handler.received == []


def settings(folder: Path, **variables: str) -> NotificationsSettings:
    (folder / "keys").write_text(base64.urlsafe_b64encode(bytes(32)).decode())
    environment = Environment({"REELMESH_WEBHOOK_KEYS_FILE": str(folder / "keys"), **variables})
    read = NotificationsSettings.from_environment(environment)
    environment.finish()
    return read


def test_mails_go_to_the_folder_unless_told_otherwise(tmp_path: Path) -> None:
    read = settings(tmp_path, REELMESH_MAIL_FOLDER=str(tmp_path / "mail"))
    assert (read.folder, read.smtp) == (tmp_path / "mail", None)
    with pytest.raises(InvalidConfiguration, match="REELMESH_MAIL_FOLDER"):
        settings(tmp_path)


def test_the_smtp_server_comes_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pass word\n")
    smtp = {
        "REELMESH_MAIL_TRANSPORT": "smtp",
        "REELMESH_SMTP_HOST": "mail.example.com",
        "REELMESH_SMTP_USER": "reelmesh",
        "REELMESH_SMTP_PASSWORD_FILE": str(tmp_path / "password"),
    }
    read = settings(tmp_path, **smtp)
    assert read.smtp == SmtpServer("mail.example.com", 587, "starttls", "reelmesh", "pass word")
    with pytest.raises(InvalidConfiguration, match="clear text"):
        settings(tmp_path, **smtp, REELMESH_SMTP_SECURITY="none")
    with pytest.raises(InvalidConfiguration, match="REELMESH_SMTP_HOST"):
        settings(tmp_path, REELMESH_MAIL_TRANSPORT="smtp")
