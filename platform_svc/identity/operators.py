"""The users who operate the installation: a file that only its administrator can write."""

from __future__ import annotations

import logging
import time
import uuid
from pathlib import Path
from typing import Final

from meshkit.errors import InvalidId
from meshkit.ids import parse_id

logger = logging.getLogger(__name__)

RELOAD_SECONDS: Final = 1.0


class OperatorsFile:
    """Ids of users (`usr_...`), one a line, read again when the file changes.

    Users are named by id because nobody can choose one; an address can be registered by somebody
    else first. A missing file names nobody; a line that is no id is reported and left out.
    """

    def __init__(self, path: Path | None, *, reload_seconds: float = RELOAD_SECONDS) -> None:
        self._path = path
        self._reload_seconds = reload_seconds
        self._signature: tuple[int, int, int] | None = None
        self._checked_at = float("-inf")
        self._users: frozenset[uuid.UUID] = frozenset()

    def __contains__(self, user_id: object) -> bool:
        self._refresh()
        return user_id in self._users

    def _refresh(self) -> None:
        """Look at the file, at most once a second, and read it if it changed."""
        now = time.monotonic()
        if self._path is None or now - self._checked_at < self._reload_seconds:
            return
        self._checked_at = now
        try:
            status = self._path.stat()
            signature = (status.st_mtime_ns, status.st_size, status.st_ino)
            if signature != self._signature:
                self._users = frozenset(_parse(self._path.read_text(encoding="utf-8")))
                self._signature = signature
        except FileNotFoundError:
            self._users, self._signature = frozenset(), None
        except (OSError, UnicodeDecodeError) as error:
            # Whoever was an operator stays one until the file can be read again.
            logger.warning("cannot read the operators", extra={"why": str(error)})


def _parse(text: str) -> list[uuid.UUID]:
    users = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            users.append(parse_id("usr", entry, field="operator"))
        except InvalidId:
            logger.warning("a line of the operators file is no user id", extra={"line": number})
    return users
