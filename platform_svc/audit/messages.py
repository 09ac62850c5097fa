"""Values of the audit service as messages, and messages as values."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from reelmesh.platform.audit.v1 import audit_service_pb2 as pb
from reelmesh.platform.audit.v1.audit_events_pb2 import ChangeRecorded

from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.audit.entry import Entry, Link, Verdict
from platform_svc.audit.errors import InvalidTime
from platform_svc.audit.store import Filter


def entry_of(event_id: uuid.UUID, change: ChangeRecorded) -> Entry:
    """Read what a service has told; the event's id is the entry's."""
    return Entry(
        id=event_id,
        org_id=parse_id("org", change.org_id, field="org_id"),
        action=change.action,
        actor_kind=change.actor_kind,
        actor_id=change.actor_id,
        api_key_id=change.api_key_id,
        target_ids=tuple(change.target_ids),
        details=dict(change.details),
        request_id=change.request_id,
        network=change.network,
        occurred_at=change.occurred_at.ToDatetime(UTC),
    )


def entry_message(link: Link) -> pb.AuditEntry:
    """Show an entry and its place."""
    entry = link.entry
    return pb.AuditEntry(
        entry_id=format_id("aud", entry.id),
        position=link.position,
        action=entry.action,
        actor_kind=entry.actor_kind,
        actor_id=entry.actor_id,
        api_key_id=entry.api_key_id,
        target_ids=entry.target_ids,
        details=dict(entry.details),
        request_id=entry.request_id,
        network=entry.network,
        occurred_at=timestamp(entry.occurred_at),
        recorded_at=timestamp(link.recorded_at),
        previous_hash=link.previous_hash.hex(),
        hash=link.hash.hex(),
    )


def verdict_message(verdict: Verdict) -> pb.AuditLogVerdict:
    """Show a verdict."""
    return pb.AuditLogVerdict(
        org_id=format_id("org", verdict.org_id),
        intact=not verdict.problem,
        entries=verdict.entries,
        head=verdict.head.hex(),
        broken_at=verdict.broken_at,
        problem=verdict.problem,
    )


def filter_of(request: pb.ListAuditEntriesRequest) -> Filter:
    """Read which entries are asked for.

    Raises:
        InvalidTime: one of the times is none.
    """
    return Filter(
        action=request.action,
        actor_id=request.actor_id,
        target_id=request.target_id,
        since=_time(request.since, "since"),
        until=_time(request.until, "until"),
    )


def _time(text: str, field: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidTime(field) from None
    if moment.tzinfo is None:
        raise InvalidTime(field)
    return moment
