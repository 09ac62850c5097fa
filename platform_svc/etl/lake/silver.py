"""Silver: every event once, readable, without what names a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import (
    DateType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from platform_svc.etl.lake import filters
from platform_svc.etl.lake.catalogue import Lake, TableSpec
from platform_svc.etl.lake.progress import append, facts_of
from platform_svc.etl.records import Event

SPEC: Final = TableSpec(
    "silver",
    "events",
    Schema(
        NestedField(1, "event_id", StringType(), required=True),
        NestedField(2, "offset", LongType(), required=True),
        NestedField(3, "name", StringType(), required=True),
        NestedField(4, "schema_version", IntegerType(), required=True),
        NestedField(5, "occurred_at", TimestamptzType(), required=True),
        NestedField(6, "published_at", TimestamptzType(), required=True),
        NestedField(7, "day", DateType(), required=True),
        NestedField(8, "org_id", StringType(), required=True),
        NestedField(9, "user_id", StringType(), required=True),
        NestedField(10, "properties", StringType(), required=True),
        NestedField(11, "problem", StringType(), required=True),
    ),
    partition="day",
)
COLUMNS: Final = tuple(name for name in Event.__slots__)
# An event that is published again, by a relay that died or a server that came back, is known for
# longer than the stream and the outboxes keep it.
KNOWN_FOR: Final = timedelta(days=14)


@dataclass
class Silver:
    """The table, how far it has come, and the ids of what is in it since some day."""

    table: Table
    _known: set[str] = field(default_factory=set)
    _known_since: date = date.max

    @classmethod
    def of(cls, lake: Lake) -> Silver:
        """Open the table."""
        return cls(lake.table(SPEC))

    @property
    def offset(self) -> int:
        """Up to which offset bronze is in here."""
        return int(facts_of(self.table).get("offset", 0))

    def append(self, events: Iterable[Event], offset: int) -> int:
        """Add the events that are not in here, and how far bronze is read, in one commit.

        Gives how many were added.
        """
        given = list(events)
        if given:
            self._know(min(event.day for event in given) - KNOWN_FOR)
        fresh: dict[str, Event] = {}
        for event in given:
            if event.event_id not in self._known:
                fresh.setdefault(event.event_id, event)
        rows = [asdict(event) | {"day": event.day} for event in fresh.values()]
        append(self.table, self._arrow(rows), {"offset": str(offset)})
        self._known.update(fresh)
        return len(rows)

    def named(self, names: Collection[str]) -> Iterator[Event]:
        """Give every event with one of the names that could be read."""
        scan = self.table.scan(
            row_filter=filters.among("name", names) & filters.equal("problem", ""),
            selected_fields=COLUMNS,
        )
        for batch in scan.to_arrow_batch_reader():
            for row in batch.to_pylist():
                times = ("occurred_at", "published_at")
                yield Event(**row | {name: row[name].astimezone(UTC) for name in times})

    def repeated(self, since: date, *, count: int) -> list[str]:
        """Give ids that are in here more than once."""
        counts = self._ids(since).group_by("event_id").aggregate([("event_id", "count")])
        more = counts.filter(pc.greater(counts["event_id_count"], 1))
        return [str(one) for one in more["event_id"].slice(0, count).to_pylist()]

    def problems(self) -> int:
        """Count the events that could not be read."""
        return self.table.scan(row_filter=~filters.equal("problem", "")).count()

    def erase_users(self, user_ids: Collection[str]) -> int:
        """Take the ids of users out of their events; gives how many events that changed."""
        whose = filters.among("user_id", user_ids)
        found = self.table.scan(row_filter=whose).to_arrow()
        if not found.num_rows:
            return 0
        facts = {f"reelmesh.{name}": fact for name, fact in facts_of(self.table).items()}
        rows = [row | {"user_id": ""} for row in found.to_pylist()]
        for row in rows:
            for user_id in user_ids:
                row["properties"] = row["properties"].replace(user_id, "")
        with self.table.transaction() as transaction:
            transaction.delete(whose, snapshot_properties=facts)
            transaction.append(self._arrow(rows), snapshot_properties=facts)
        return len(rows)

    def _know(self, since: date) -> None:
        if since < self._known_since:
            self._known.update(self._ids(since)["event_id"].to_pylist())
            self._known_since = since

    def _ids(self, since: date) -> pa.Table:
        recent = filters.since("day", since)
        return self.table.scan(row_filter=recent, selected_fields=("event_id",)).to_arrow()

    def _arrow(self, rows: list[dict[str, Any]]) -> pa.Table:
        return pa.Table.from_pylist(rows, schema=self.table.schema().as_arrow())
