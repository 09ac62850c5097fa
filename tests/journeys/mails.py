"""The mails of the running platform, as their recipients read them."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.journeys.mesh import Mesh, until

# Mails end their lines by both characters.
CODE = re.compile(r"^([A-Za-z0-9_-]{32})\r?$", re.MULTILINE)


def mails(mesh: Mesh, recipient: str, subject: str) -> list[EmailMessage]:
    """Give the mails to an address with a subject, oldest first."""
    paths = sorted(mesh.layout.mail.glob("*.eml"))
    read = (message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths)
    return [mail for mail in read if (mail["To"], mail["Subject"]) == (recipient, subject)]


async def mail(mesh: Mesh, recipient: str, subject: str, *, number: int = 1) -> str:
    """Wait for a mail and give its text; `number` counts those with this subject from 1."""
    await until(lambda: len(mails(mesh, recipient, subject)) >= number)
    body = mails(mesh, recipient, subject)[number - 1].get_body(("plain",))
    assert body is not None
    return body.get_content()


async def mailed_code(mesh: Mesh, recipient: str, subject: str, *, number: int = 1) -> str:
    """Wait for a mail and give the code in it."""
    (code,) = CODE.findall(await mail(mesh, recipient, subject, number=number))
    return code
