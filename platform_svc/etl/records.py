"""What moves through the lake: events as they came, and events that can be read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One message of the stream, as it came.

    `offset` grows with each message that is loaded, also when the stream was made anew.
    """

    offset: int
    event_id: str
    subject: str
    published_at: datetime
    data: bytes

    @property
    def day(self) -> date:
        """The UTC day that it is stored under."""
        return self.published_at.date()


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `name` is such as "business.tools.run_finished".

    `properties` is a JSON object without what names a person. `problem` says why the event could
    not be read; it is empty for all others.
    """

    event_id: str
    offset: int
    name: str
    schema_version: int
    occurred_at: datetime
    published_at: datetime
    org_id: str
    user_id: str
    properties: str
    problem: str = ""

    @property
    def day(self) -> date:
        """The UTC day that it is stored under: that of its publication."""
        return self.published_at.date()
