"""Bronze: every message of the stream as it came, once for each place in the stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import BinaryType, DateType, LongType, NestedField, StringType, TimestamptzType

from platform_svc.etl.lake import filters
from platform_svc.etl.lake.catalogue import Lake, TableSpec
from platform_svc.etl.lake.progress import append, facts_of
from platform_svc.etl.records import RawEvent
from platform_svc.etl.stream import Place

SPEC: Final = TableSpec(
    "bronze",
    "events",
    Schema(
        NestedField(1, "offset", LongType(), required=True),
        NestedField(2, "event_id", StringType(), required=True),
        NestedField(3, "subject", StringType(), required=True),
        NestedField(4, "published_at", TimestamptzType(), required=True),
        NestedField(5, "day", DateType(), required=True),
        NestedField(6, "data", BinaryType(), required=True),
    ),
    partition="day",
)
COLUMNS: Final = ("offset", "event_id", "subject", "published_at", "data")


@dataclass(frozen=True, slots=True)
class Bronze:
    """The table and how far it has come."""

    table: Table

    @classmethod
    def of(cls, lake: Lake) -> Bronze:
        """Open the table."""
        return cls(lake.table(SPEC))

    @property
    def place(self) -> Place | None:
        """How far the stream is loaded; None before the first event."""
        facts = facts_of(self.table)
        if not facts:
            return None
        return Place(
            stream=facts["stream"],
            base=int(facts["base"]),
            sequence=int(facts["sequence"]),
            lost=int(facts["lost"]),
            covered_from=datetime.fromisoformat(facts["covered-from"]),
        )

    @property
    def offset(self) -> int:
        """The offset of the newest event; 0 before the first."""
        place = self.place
        return 0 if place is None else place.offset

    def append(self, events: Sequence[RawEvent], place: Place) -> None:
        """Add events and how far the stream is loaded with them, in one commit.

        A process that dies before the commit has added nothing, and one that dies after it is not
        asked for these events again: so each place of the stream is loaded once.
        """
        rows = [asdict(event) | {"day": event.day} for event in events]
        facts = {
            "stream": place.stream,
            "base": str(place.base),
            "sequence": str(place.sequence),
            "lost": str(place.lost),
            "covered-from": place.covered_from.isoformat(),
        }
        append(self.table, self._arrow(rows), facts)

    def between(self, after: int, upto: int) -> Iterator[RawEvent]:
        """Give the events with offsets above `after` and up to `upto`, in their order."""
        wanted = filters.between("offset", after, upto)
        found = self.table.scan(row_filter=wanted, selected_fields=COLUMNS).to_arrow()
        for row in found.sort_by("offset").to_pylist():
            yield RawEvent(**row | {"published_at": row["published_at"].astimezone(UTC)})

    def forget_before(self, day: date) -> None:
        """Delete whole days, in one commit that keeps how far the stream is loaded."""
        old = filters.before("day", day)
        if (
            self.table.scan(row_filter=old, selected_fields=("offset",), limit=1)
            .to_arrow()
            .num_rows
        ):
            facts = {f"reelmesh.{name}": fact for name, fact in facts_of(self.table).items()}
            self.table.delete(old, snapshot_properties=facts)

    def _arrow(self, rows: Sequence[dict[str, Any]]) -> pa.Table:
        return pa.Table.from_pylist(list(rows), schema=self.table.schema().as_arrow())
