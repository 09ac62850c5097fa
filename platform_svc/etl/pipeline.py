"""One run: stream to bronze, bronze to silver, silver to gold, and the checks.

Every step asks its table how far it has come, and commits its rows together with how far they
reach. So a run that dies anywhere is continued by the next one, and nothing counts twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from meshkit.clock import Ambient
from meshkit.object_store import ObjectStore
from platform_svc.etl.committer import Committer
from platform_svc.etl.config import LoaderSettings
from platform_svc.etl.decoding import decode
from platform_svc.etl.lake import upkeep
from platform_svc.etl.lake.bronze import Bronze
from platform_svc.etl.lake.catalogue import FOLDER, Lake
from platform_svc.etl.lake.gold import Gold
from platform_svc.etl.lake.silver import Silver
from platform_svc.etl.ledger import Ledger
from platform_svc.etl.marts.creator_earnings import CreatorEarnings
from platform_svc.etl.marts.fold import Mart, Row
from platform_svc.etl.marts.funnel import Funnel
from platform_svc.etl.marts.unit_economics import UnitEconomics
from platform_svc.etl.reconciliation import BEFORE, Books, Comparison, compare
from platform_svc.etl.run import LOST, LOST_EVENTS, OFFENDERS_MAX, REPEATED, Outcome
from platform_svc.etl.stream import FROM_THE_BEGINNING, EventStream

USER_DELETED: Final = "platform.identity.user_deleted"
BRONZE_KEPT_FOR: Final = timedelta(days=30)
CHECKED_FOR: Final = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a run works with."""

    settings: LoaderSettings
    stream: EventStream
    lake: Lake
    ledger: Ledger
    committer: Committer
    ambient: Ambient


@dataclass
class Made:
    """What a run has done so far."""

    counts: dict[str, int] = field(default_factory=dict)
    offenders: dict[str, Sequence[str]] = field(default_factory=dict)
    rows: dict[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """Give it for the record."""
        bounded = {name: ids[:OFFENDERS_MAX] for name, ids in self.offenders.items()}
        return Outcome(dict(self.counts), bounded)


async def run(pipeline: Pipeline, *, known_lost: int = 0) -> Made:
    """Do all steps; checks that fail are told, and whatever else goes wrong is raised.

    `known_lost` is how many lost events an earlier run has told: a loss is told once.
    """
    made = Made()
    began = pipeline.ambient.now()
    bronze = await asyncio.to_thread(Bronze.of, pipeline.lake)
    silver = await asyncio.to_thread(Silver.of, pipeline.lake)
    made.counts["bronze_rows"] = await load(pipeline, bronze)
    made.counts["silver_rows"] = await refine(pipeline, bronze, silver)
    economics = await make_marts(pipeline, silver, made)
    comparison = await _reconcile(pipeline, bronze, economics, began)
    made.offenders.update(comparison.offenders)
    made.counts |= {
        "mart_credits": comparison.mart_credits,
        "ledger_credits": comparison.ledger_credits,
        "pending_credits": comparison.pending_credits,
    }
    await asyncio.to_thread(_check, bronze, silver, made, began)
    if made.counts[LOST] > known_lost:
        made.offenders[LOST_EVENTS] = [f"{made.counts[LOST] - known_lost} events"]
    return made


async def load(pipeline: Pipeline, bronze: Bronze) -> int:
    """Load what the stream has beyond bronze; says how many events that were."""
    loaded = 0
    place = await asyncio.to_thread(lambda: bronze.place)
    async for events, reached in pipeline.stream.read(place, batch=pipeline.settings.batch):
        await pipeline.committer.confirm()
        await asyncio.to_thread(bronze.append, events, reached)
        loaded += len(events)
    return loaded


async def refine(pipeline: Pipeline, bronze: Bronze, silver: Silver) -> int:
    """Read what bronze has beyond silver; says how many events were added."""

    def step(after: int) -> int:
        upto = min(after + pipeline.settings.batch, bronze.offset)
        events = [event for raw in bronze.between(after, upto) for event in decode(raw)]
        return silver.append(events, upto)

    added = 0
    while (after := silver.offset) < bronze.offset:
        await pipeline.committer.confirm()
        added += await asyncio.to_thread(step, after)
    deleted = await asyncio.to_thread(
        lambda: {event.user_id for event in silver.named({USER_DELETED})} - {""}
    )
    if deleted:
        await pipeline.committer.confirm()
        await asyncio.to_thread(silver.erase_users, deleted)
    return added


async def make_marts(pipeline: Pipeline, silver: Silver, made: Made) -> UnitEconomics:
    """Make every mart anew; gives the one that is compared with the ledger."""
    economics = UnitEconomics(pipeline.settings.marts)
    marts: Sequence[Mart] = (Funnel(), economics, CreatorEarnings(pipeline.settings.marts))

    def fold() -> None:
        for event in silver.named(frozenset().union(*(mart.events for mart in marts))):
            for mart in marts:
                if event.name in mart.events:
                    mart.add(event)

    await asyncio.to_thread(fold)
    snapshot = silver.table.current_snapshot()
    name = "" if snapshot is None else str(snapshot.snapshot_id)
    gold = Gold(pipeline.lake)
    for mart in marts:
        made.rows[mart.name] = mart.rows()
        await pipeline.committer.confirm()
        await asyncio.to_thread(gold.put, mart.name, made.rows[mart.name], silver_snapshot=name)
    return economics


async def keep_up(pipeline: Pipeline, objects: ObjectStore, *, thorough: bool) -> Mapping[str, int]:
    """Keep the lake's tables small; what is thorough is for now and then."""
    now = pipeline.ambient.now()
    bronze, silver = Bronze.of(pipeline.lake), Silver.of(pipeline.lake)
    await pipeline.committer.confirm()
    await asyncio.to_thread(bronze.forget_before, (now - BRONZE_KEPT_FOR).date())
    days = 0
    for table in (bronze.table, silver.table):
        await pipeline.committer.confirm()
        days += await asyncio.to_thread(upkeep.compact, table)
    catalog = pipeline.lake.catalog
    tables = [
        catalog.load_table(identifier)
        for namespace in catalog.list_namespaces()
        for identifier in catalog.list_tables(namespace)
    ]
    for table in tables:
        await asyncio.to_thread(upkeep.expire, table, now=now)
    if not thorough:
        return {"compacted_days": days}
    needed = [await asyncio.to_thread(upkeep.needed_files, table.refresh()) for table in tables]
    bucket = pipeline.settings.s3.bucket
    orphans = await upkeep.remove_orphans(objects, bucket, FOLDER, needed, now=now)
    return {"compacted_days": days, "orphans": orphans}


def published(made: Made, html: str, *, rows_max: int) -> dict[str, dict[str, Any]]:
    """Give what readers see of a run, by name."""
    marts = {
        name: {"rows": [_plain(row) for row in rows[:rows_max]]} for name, rows in made.rows.items()
    }
    return {**marts, "report": {"html": html}}


async def _reconcile(
    pipeline: Pipeline, bronze: Bronze, economics: UnitEconomics, began: datetime
) -> Comparison:
    place = bronze.place
    covered_from = FROM_THE_BEGINNING if place is None else place.covered_from
    # The ledger after the events: whatever was charged in these has its capture by now.
    captures = await pipeline.ledger.captures(max(covered_from - BEFORE, FROM_THE_BEGINNING))
    gold = Gold(pipeline.lake)
    total = await asyncio.to_thread(gold.total, economics.name, "credits_charged")
    return compare(
        Books(
            charges=economics.charges(),
            mart_credits=total,
            captures=captures,
            covered_from=covered_from,
            settled_until=began - pipeline.settings.marts.grace,
        )
    )


def _check(bronze: Bronze, silver: Silver, made: Made, now: datetime) -> None:
    repeated = silver.repeated((now - CHECKED_FOR).date(), count=OFFENDERS_MAX)
    if repeated:
        made.offenders[REPEATED] = repeated
    place = bronze.place
    made.counts |= {
        LOST: 0 if place is None else place.lost,
        "unreadable_events": silver.problems(),
    }


def _plain(row: Row) -> dict[str, Any]:
    return {
        name: value if isinstance(value, int | float | str) else value.isoformat()
        for name, value in row.items()
    }
