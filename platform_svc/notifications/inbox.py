"""What is shown to a user: one notification, and its place among theirs."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

KEPT: Final = timedelta(days=90)
UNREAD_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing that happened; `position` only grows over the notifications of one user."""

    id: uuid.UUID
    position: int
    user_id: uuid.UUID
    org_id: uuid.UUID
    type: str
    subject_id: str
    title: str
    occurred_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """A notice as services raise it."""

    id: uuid.UUID
    type: str
    org_id: uuid.UUID
    user_ids: tuple[uuid.UUID, ...]
    subject_id: str
    title: str
    data_json: str
    occurred_at: datetime
