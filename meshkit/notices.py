"""Tells users and an organization's webhooks of something, in the transaction that makes it so."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reelmesh.platform.notifications.v1.notifications_events_pb2 import NoticeRaised
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.clock import Ambient
from meshkit.ids import format_id
from meshkit.outbox import add_event
from meshkit.timestamps import timestamp

NOTICE_RAISED: Final = "reelmesh.platform.notifications.notice_raised"
# The specification of webhooks asks for payloads below 20 kB.
DATA_BYTES_MAX: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened: a type such as "run.succeeded", in which organization, to what.

    `user_ids` are shown it, in the words of `title`; without them only webhooks hear of it.
    `data` is what webhooks get: public ids and facts, as JSON allows them, never secrets.
    """

    type: str
    org_id: uuid.UUID
    title: str
    subject_id: str = ""
    user_ids: tuple[uuid.UUID, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


async def raise_notice(session: AsyncSession, notice: Notice, ambient: Ambient) -> None:
    """Write the notice in the caller's transaction; it leaves through the service's outbox."""
    now = ambient.now()
    data_json = json.dumps(dict(notice.data), separators=(",", ":"), ensure_ascii=False)
    assert len(data_json.encode()) <= DATA_BYTES_MAX, "tell ids, not contents"
    occurred_at = timestamp(now)
    message = NoticeRaised(
        type=notice.type,
        org_id=format_id("org", notice.org_id),
        user_ids=[format_id("usr", user_id) for user_id in notice.user_ids],
        subject_id=notice.subject_id,
        title=notice.title,
        data_json=data_json,
        occurred_at=occurred_at,
    )
    await add_event(session, NOTICE_RAISED, message, event_id=ambient.new_id(), now=now)
