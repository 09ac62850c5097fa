"""Keeps the lake's tables small: few files, few snapshots, and no file that nobody needs."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

from pyiceberg.table import Table

from meshkit.object_store import ObjectInfo, ObjectStore
from platform_svc.etl.lake import filters
from platform_svc.etl.lake.progress import PREFIX, facts_of

# A day with more files is written anew as one; the rows of a day fit in memory.
FILES_PER_DAY_MAX: Final = 24
SNAPSHOTS_KEPT_FOR: Final = timedelta(days=1)
SNAPSHOTS_MIN: Final = 20
# A file that is younger may belong to a commit that is under way.
ORPHAN_AGE: Final = timedelta(hours=6)

logger = logging.getLogger(__name__)


def compact(table: Table, *, files_max: int = FILES_PER_DAY_MAX) -> int:
    """Write each day that has more files anew, in one commit each; says how many days."""
    files = Counter(task.file.partition[0] for task in table.scan().plan_files())
    many = [day for day, count in files.items() if count > files_max]
    for day in many:
        wanted = filters.equal("day", _day(day).isoformat())
        rows = table.scan(row_filter=wanted).to_arrow()
        facts = {f"{PREFIX}{name}": fact for name, fact in facts_of(table).items()}
        with table.transaction() as transaction:
            transaction.delete(wanted, snapshot_properties=facts)
            transaction.append(rows, snapshot_properties=facts)
    return len(many)


def expire(table: Table, *, now: datetime) -> int:
    """Drop snapshots that are older than a day, but for the newest 20; says how many."""
    snapshots = sorted(table.snapshots(), key=lambda one: one.timestamp_ms)[:-SNAPSHOTS_MIN]
    bound = (now - SNAPSHOTS_KEPT_FOR).timestamp() * 1000
    old = [one.snapshot_id for one in snapshots if one.timestamp_ms < bound]
    if old:
        table.maintenance.expire_snapshots().by_ids(old).commit()
    return len(old)


def needed_files(table: Table) -> set[str]:
    """Give the location of every file that a snapshot of the table, or the catalogue, needs."""
    needed = {table.metadata_location}
    needed |= {entry.metadata_file for entry in table.metadata.metadata_log}
    for snapshot in table.snapshots():
        needed.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            needed.add(manifest.manifest_path)
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            needed |= {entry.data_file.file_path for entry in entries}
    return needed


async def remove_orphans(
    objects: ObjectStore, bucket: str, folder: str, tables: Iterable[set[str]], *, now: datetime
) -> int:
    """Delete files of the lake that no table needs, such as of a commit that died; says how many.

    `tables` are the files that each table needs.
    """
    needed = set[str]().union(*tables)
    orphans = [
        info async for info in objects.list(f"{folder}/") if _is_orphan(info, bucket, needed, now)
    ]
    for info in orphans:
        await objects.delete(info.key)
    if orphans:
        logger.info("files that no table needs were deleted", extra={"count": len(orphans)})
    return len(orphans)


def _is_orphan(info: ObjectInfo, bucket: str, needed: set[str], now: datetime) -> bool:
    return info.modified_at < now - ORPHAN_AGE and f"s3://{bucket}/{info.key}" not in needed


def _day(value: date | int) -> date:
    # Partition values of dates are days since 1970.
    return value if isinstance(value, date) else date(1970, 1, 1) + timedelta(days=value)
