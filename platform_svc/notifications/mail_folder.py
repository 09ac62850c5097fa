"""Delivers mails as files, for one machine without a mail server."""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path

from platform_svc.notifications.mailer import NotDelivered


@dataclass(frozen=True, slots=True)
class MailFolder:
    """Writes one `.eml` file per mail, readable by its owner only."""

    folder: Path

    async def send(self, mail_id: uuid.UUID, message: EmailMessage) -> None:
        """Write the file; the same mail again replaces it.

        Raises:
            NotDelivered: the folder cannot be written.
        """
        try:
            await asyncio.to_thread(self._write, mail_id, message.as_bytes(policy=SMTPUTF8))
        except OSError as error:
            raise NotDelivered(f"the mail folder: {error.strerror}") from error

    def _write(self, mail_id: uuid.UUID, data: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A reader of the folder sees whole mails only, and two workers with one mail do not meet.
        descriptor, fresh = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".new")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(fresh).replace(self.folder / f"{mail_id}.eml")
