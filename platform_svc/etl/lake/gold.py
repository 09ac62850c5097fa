"""Gold: the marts as tables, made anew from silver whenever they changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.schema import Schema
from pyiceberg.types import (
    DateType,
    DoubleType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
)

from platform_svc.etl.lake.catalogue import Lake, TableSpec
from platform_svc.etl.lake.progress import facts_of, replace
from platform_svc.etl.marts.fold import Row

COLUMNS: Final[Mapping[str, Mapping[str, IcebergType]]] = {
    "funnel": {
        "day": DateType(),
        "position": IntegerType(),
        "stage": StringType(),
        "users": LongType(),
        "cohort": LongType(),
        "share": DoubleType(),
    },
    "unit_economics": {
        "day": DateType(),
        "tool": StringType(),
        "region": StringType(),
        "runs": LongType(),
        "succeeded": LongType(),
        "credits_charged": LongType(),
        "device_ms": LongType(),
        "revenue_micros": LongType(),
        "cost_micros": LongType(),
        "margin_micros": LongType(),
        "revenue_micros_per_run": LongType(),
        "cost_micros_per_run": LongType(),
    },
    "creator_earnings": {
        "month": DateType(),
        "creator_user_id": StringType(),
        "remixes": LongType(),
        "credits_of_remixes": LongType(),
        "earned_millicredits": LongType(),
        "earned_micros": LongType(),
    },
}


@dataclass(frozen=True, slots=True)
class Gold:
    """The tables of the marts."""

    lake: Lake

    def put(self, mart: str, rows: Sequence[Row], *, silver_snapshot: str) -> bool:
        """Replace a mart's rows, if they changed; says whether they did.

        The snapshot names the state of silver that the rows were made of.
        """
        table = self.lake.table(spec_of(mart))
        digest = _digest(rows)
        if facts_of(table).get("digest") == digest:
            return False
        arrow = pa.Table.from_pylist([dict(row) for row in rows], table.schema().as_arrow())
        replace(table, arrow, {"digest": digest, "silver-snapshot": silver_snapshot})
        return True

    def total(self, mart: str, column: str) -> int:
        """Read the sum of a column back from the table."""
        table = self.lake.table(spec_of(mart))
        values = table.scan(selected_fields=(column,)).to_arrow()[column]
        return int(pc.sum(values).as_py() or 0)


def spec_of(mart: str) -> TableSpec:
    """Give the table of a mart."""
    fields = [
        NestedField(number, name, kind, required=True)
        for number, (name, kind) in enumerate(COLUMNS[mart].items(), start=1)
    ]
    return TableSpec("gold", mart, Schema(*fields))


def _digest(rows: Sequence[Row]) -> str:
    text: Any = json.dumps([dict(row) for row in rows], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
