"""An entry of an audit log, and the chain of hashes that holds the log together."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

NO_HASH: Final = bytes(32)
# What the hash covers, and in which form; another form gets another number.
FORM: Final = "reelmesh-audit-1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, as the service that made it has told."""

    id: uuid.UUID
    org_id: uuid.UUID
    action: str
    actor_kind: str
    actor_id: str
    api_key_id: str
    target_ids: tuple[str, ...]
    details: Mapping[str, str]
    request_id: str
    network: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """An entry in its place; `position` counts from 1 in each organization."""

    entry: Entry
    position: int
    recorded_at: datetime
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ends: how many entries it has and the hash of the last."""

    length: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a log is as it was written; `problem` is empty if it is."""

    org_id: uuid.UUID
    entries: int
    head: bytes
    broken_at: int = 0
    problem: str = ""


def linked(entry: Entry, head: Head, *, now: datetime) -> Link:
    """Put an entry behind the end of its organization's log."""
    position = head.length + 1
    digest = hash_of(entry, position, now, head.hash)
    return Link(entry, position, now, head.hash, digest)


def hash_of(entry: Entry, position: int, recorded_at: datetime, previous_hash: bytes) -> bytes:
    """Return the SHA-256 over the hash before it and the entry in one fixed form of JSON."""
    document = [
        FORM,
        position,
        str(entry.id),
        str(entry.org_id),
        entry.action,
        entry.actor_kind,
        entry.actor_id,
        entry.api_key_id,
        list(entry.target_ids),
        sorted(entry.details.items()),
        entry.request_id,
        entry.network,
        _time(entry.occurred_at),
        _time(recorded_at),
    ]
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(previous_hash + text.encode()).digest()


def problem_of(link: Link, before: Head) -> str:
    """Say what does not fit between an entry and what stands before it; empty if all does."""
    if link.position != before.length + 1:
        return f"entry {before.length + 1} is missing"
    if link.previous_hash != before.hash:
        return "the entry does not follow the one before it"
    expected = hash_of(link.entry, link.position, link.recorded_at, link.previous_hash)
    return "" if link.hash == expected else "the entry is not what was written"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
