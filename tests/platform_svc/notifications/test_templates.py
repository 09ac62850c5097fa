"""What mails say, and when a delivery is tried again."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest

from platform_svc.notifications.mail import PAUSE_MAX, pause_after
from platform_svc.notifications.mailer import Envelope, compose
from platform_svc.notifications.templates import TEMPLATES, check_parameters, render

WRITTEN_AT = datetime(2026, 1, 10, 9, 0, tzinfo=UTC)
ENVELOPE = Envelope(
    uuid.UUID(int=7), "Reelmesh <no-reply@reelmesh.test>", "ada@ü.example", WRITTEN_AT
)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_renders_with_exactly_its_parameters(name: str) -> None:
    parameters = {key: f"<{key}> & $5" for key in TEMPLATES[name].parameters}
    check_parameters(name, parameters)
    content = render(name, parameters)
    for key, value in parameters.items():
        assert value in content.subject + content.text
        assert f"<{key}>" not in content.html


def test_a_message_survives_its_own_bytes() -> None:
    parameters = {"inviter_name": "Zoë", "organization_name": "Ŝtudio", "role": "admin"}
    content = render("organization-invitation", parameters | {"code": "c" * 500, "days": "7"})
    data = compose(ENVELOPE, content).as_bytes(policy=policy.SMTPUTF8)
    message = message_from_bytes(data, policy=policy.default)
    assert message["Subject"] == "Zoë invites you to Ŝtudio"
    assert message["To"] == "ada@ü.example"
    assert message["Message-ID"] == "<00000000-0000-0000-0000-000000000007@reelmesh.test>"
    assert message["Date"].datetime == WRITTEN_AT
    assert "c" * 500 in message.get_body(("plain",)).get_content()


def test_pauses_double_up_to_an_hour() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 40)]
    assert pauses[:3] == [timedelta(seconds=seconds) for seconds in (5, 10, 20)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSE_MAX
