"""The lake's tables stay small, and nothing that they need goes missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from meshkit.object_store import S3ObjectStore
from platform_svc.etl.lake import upkeep
from platform_svc.etl.lake.bronze import Bronze
from platform_svc.etl.lake.silver import Silver

from .world import World


def files_of(table) -> Sequence[str]:
    return [task.file.file_path for task in table.scan().plan_files()]


async def test_many_small_files_become_one_and_the_old_ones_go(world: World) -> None:
    for _ in range(6):
        await world.sign_up()
    await world.load(replace(world.loader, batch=2))
    later = world.now() + timedelta(days=2)
    with world.lake() as lake:
        silver = Silver.of(lake)
        assert len(files_of(silver.table)) == 3
        assert upkeep.compact(silver.table, files_max=3) == 0
        assert upkeep.compact(silver.table, files_max=2) == 1
        assert len(files_of(silver.table)) == 1
        assert silver.offset == 6  # How far it has come is in the newest snapshot too.
        snapshots = len(silver.table.snapshots())
        old = [one.snapshot_id for one in silver.table.snapshots()][: snapshots - 1]
        silver.table.maintenance.expire_snapshots().by_ids(old).commit()
        bronze = Bronze.of(lake)
        tables = [upkeep.needed_files(one.table.refresh()) for one in (bronze, silver)]
        async with S3ObjectStore(world.s3) as objects:
            folder = silver.table.location().removeprefix(f"s3://{world.s3.bucket}/")
            young = await upkeep.remove_orphans(
                objects, world.s3.bucket, folder, tables, now=world.now()
            )
            removed = await upkeep.remove_orphans(
                objects, world.s3.bucket, folder, tables, now=later
            )
        assert (young, removed >= 3) == (0, True)
    assert [event.event_id for event in world.silver()] == world.published
    assert (await world.load()).counts["silver_rows"] == 0


async def test_snapshots_of_today_and_the_newest_stay(world: World) -> None:
    await world.sign_up()
    await world.load()
    with world.lake() as lake:
        table = Silver.of(lake).table
        for _ in range(upkeep.SNAPSHOTS_MIN + 2):
            table.append(table.scan().to_arrow().slice(0, 0))
        count = len(table.snapshots())
        assert upkeep.expire(table, now=world.now()) == 0
        assert upkeep.expire(table, now=world.now() + timedelta(days=2)) == count - 20
        assert len(table.snapshots()) == upkeep.SNAPSHOTS_MIN


async def test_old_days_of_bronze_go_and_loading_goes_on(world: World) -> None:
    await world.sign_up()
    await world.load()
    with world.lake() as lake:
        bronze = Bronze.of(lake)
        bronze.forget_before(world.now().date())
        assert bronze.table.scan().count() == 1
        bronze.forget_before(world.now().date() + timedelta(days=1))
        assert bronze.table.scan().count() == 0
    await world.sign_up()
    made = await world.load()
    assert (made.counts["bronze_rows"], made.counts["silver_rows"]) == (1, 1)
    assert [event.event_id for event in world.silver()] == world.published
