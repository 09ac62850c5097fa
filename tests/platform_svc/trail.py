"""Reads the audit entries and notices that a service has written."""

from __future__ import annotations

import sqlalchemy as sa
from reelmesh.platform.audit.v1.audit_events_pb2 import ChangeRecorded
from reelmesh.platform.notifications.v1.notifications_events_pb2 import NoticeRaised

from meshkit.audit import CHANGE_RECORDED
from meshkit.notices import NOTICE_RAISED
from meshkit.outbox import outbox_table
from meshkit.postgres import Database


async def changes_in(database: Database) -> list[ChangeRecorded]:
    """Give the audit entries of a service, in the order of writing."""
    return [ChangeRecorded.FromString(one) for one in await _written(database, CHANGE_RECORDED)]


async def notices_in(database: Database) -> list[NoticeRaised]:
    """Give the notices of a service, in the order of writing."""
    return [NoticeRaised.FromString(one) for one in await _written(database, NOTICE_RAISED)]


async def _written(database: Database, subject: str) -> list[bytes]:
    outbox = outbox_table(database.schema)
    query = sa.select(outbox.c.payload).where(outbox.c.subject == subject)
    async with database.sessions() as session:
        return list(await session.scalars(query.order_by(outbox.c.position)))
