"""How far a table has come: facts that are committed with its rows, in the same snapshot."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from pyiceberg.expressions import AlwaysTrue
from pyiceberg.table import Table

PREFIX: Final = "reelmesh."

logger = logging.getLogger(__name__)


def facts_of(table: Table) -> dict[str, str]:
    """Give the facts of the newest snapshot; none of a table without one."""
    snapshot = table.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return {}
    properties = snapshot.summary.additional_properties
    return {
        name.removeprefix(PREFIX): value
        for name, value in properties.items()
        if name.startswith(PREFIX)
    }


def append(table: Table, rows: Any, facts: Mapping[str, str]) -> None:
    """Add rows and facts in one commit; no rows are fine."""
    table.append(rows, snapshot_properties=_named(facts))
    _tell(table, rows.num_rows)


def replace(table: Table, rows: Any, facts: Mapping[str, str]) -> None:
    """Put rows and facts in place of what was there, in one commit."""
    is_empty = table.current_snapshot() is None or not table.scan().count()
    with table.transaction() as transaction:
        if not is_empty:
            transaction.delete(AlwaysTrue(), snapshot_properties=_named(facts))
        transaction.append(rows, snapshot_properties=_named(facts))
    _tell(table, rows.num_rows)


def _named(facts: Mapping[str, str]) -> dict[str, str]:
    return {f"{PREFIX}{name}": value for name, value in facts.items()}


def _tell(table: Table, rows: int) -> None:
    name = ".".join(table.name())
    logger.info("a table was committed", extra={"table": name, "rows": rows})
