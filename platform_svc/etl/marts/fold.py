"""What every mart is: a table that grows event by event."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from platform_svc.etl.records import Event

K = TypeVar("K", bound=Hashable)

Row = Mapping[str, Any]

SIGNED_UP = "platform.identity.user_signed_up"
TOOL_OPENED = "client.tool_opened"
RUN_FINISHED = "business.tools.run_finished"
JOB_FINISHED = "inference.jobs.job_finished"
POST_PUBLISHED = "business.social.post_published"


class Mart(Protocol):
    """A table that answers one question, made of events in any order, each given once."""

    name: ClassVar[str]
    events: ClassVar[frozenset[str]]  # The names of those that it is made of.

    def add(self, event: Event) -> None:
        """Take one event into account."""

    def rows(self) -> Sequence[Row]:
        """Give the table, in an order of its own that is always the same."""


def properties_of(event: Event) -> dict[str, Any]:
    """Give the properties of an event as a document."""
    document: dict[str, Any] = json.loads(event.properties)
    return document


def keep_first(kept: dict[K, Event], key: K, event: Event) -> None:
    """Keep the event that happened first; the id decides between those of one moment."""
    other = kept.get(key)
    if other is None or (event.occurred_at, event.event_id) < (other.occurred_at, other.event_id):
        kept[key] = event
