"""Writes an audit entry in the transaction of the change that it is about.

The entry leaves through the service's own outbox, so there is none without its change and no
change without it; the audit service puts it into the organization's log.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from reelmesh.platform.audit.v1.audit_events_pb2 import ChangeRecorded
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.clock import Ambient
from meshkit.context import ServicePrincipal, UserPrincipal, find_current
from meshkit.ids import format_id
from meshkit.outbox import add_event
from meshkit.timestamps import timestamp

CHANGE_RECORDED: Final = "reelmesh.platform.audit.change_recorded"


@dataclass(frozen=True, slots=True)
class Change:
    """What was done: an action such as "api_key.created", in whose log, to what.

    `details` hold neither secrets nor personal data. `user_id` names who did it where the call
    itself does not say, such as at sign-in.
    """

    action: str
    org_id: uuid.UUID
    target_ids: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    user_id: uuid.UUID | None = None


async def record(session: AsyncSession, change: Change, ambient: Ambient) -> None:
    """Write the entry in the caller's transaction; who calls is taken from the current call."""
    now = ambient.now()
    occurred_at = timestamp(now)
    message = ChangeRecorded(
        org_id=format_id("org", change.org_id),
        action=change.action,
        target_ids=change.target_ids,
        details=dict(change.details),
        occurred_at=occurred_at,
    )
    _name_actor(message, change.user_id)
    await add_event(session, CHANGE_RECORDED, message, event_id=ambient.new_id(), now=now)


def _name_actor(message: ChangeRecorded, user_id: uuid.UUID | None) -> None:
    call = find_current()
    message.actor_kind = "system"
    if call is not None:
        message.request_id = call.request_id
        message.network = call.network
    principal = None if call is None else call.principal
    if isinstance(principal, UserPrincipal):
        user_id = user_id or principal.user_id
        if principal.api_key is not None:
            message.api_key_id = format_id("key", principal.api_key.key_id)
    elif isinstance(principal, ServicePrincipal):
        message.actor_kind, message.actor_id = "service", principal.service
    if user_id is not None:
        message.actor_kind, message.actor_id = "user", format_id("usr", user_id)
