"""Operators take regions out of service and put them back, by the commands that they type."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from deploy.client import ApiError
from tests.journeys.mesh import REGIONS, Mesh

PICTURE = {"prompt": "a red circle", "steps": 4, "seed": 5}
NOTE = "a new driver"


async def regions(mesh: Mesh) -> dict[str, dict[str, Any]]:
    listed = json.loads((await mesh.command("regions", "--json")).stdout)
    return {one["name"]: one for one in listed}


@asynccontextmanager
async def cordoned(mesh: Mesh, *names: str) -> AsyncIterator[None]:
    try:
        for name in names:
            done = await mesh.command("regions", "cordon", name, "--note", NOTE)
            assert done.stdout.strip() == f"{name} is cordoned"
        yield
    finally:
        for name in names:
            await mesh.command("regions", "uncordon", name)


async def test_cordoned_regions_get_no_work_until_one_is_uncordoned(mesh: Mesh) -> None:
    async with mesh.user() as client, cordoned(mesh, *REGIONS):
        run = await client.run("text-to-image", PICTURE)
        for one in (await regions(mesh)).values():
            assert (one["service"]["state"], one["service"]["note"]) == ("cordoned", NOTE)
            assert one["ray_address"]
        waiting = await client.get_run(run["run_id"])
        assert (waiting["state"], waiting["step"]) == ("queued", 0)

        opened = await mesh.command("regions", "uncordon", REGIONS[1])
        assert opened.stdout.strip() == f"{REGIONS[1]} is active"
        ended = await client.finished(run["run_id"])
        assert (ended["state"], ended["region"]) == ("succeeded", REGIONS[1])

    placements = json.loads((await mesh.command("regions", "placements", "--json")).stdout)
    assert f"{REGIONS[1]} is warm" in placements[0]["reason"]
    assert (await mesh.offenders()) == {}


async def test_draining_an_idle_region_ends_drained(mesh: Mesh) -> None:
    name = REGIONS[0]
    try:
        drained = await mesh.command("regions", "drain", name)
        assert drained.stdout.strip() in {f"{name} is drained", f"{name} is draining"}
    finally:
        await mesh.command("regions", "uncordon", name)
    assert (await regions(mesh))[name]["service"]["state"] == "active"


async def test_replicas_follow_a_plan_that_gives_its_reason(mesh: Mesh) -> None:
    for one in (await regions(mesh)).values():
        [replicas] = one["service"]["replicas"]
        assert replicas["model"] == "shapes"
        assert replicas["minimum"] <= replicas["target"] <= replicas["maximum"]
        assert "wanted in all" in replicas["reason"]
    decisions = json.loads((await mesh.command("regions", "scaling", "--json")).stdout)
    assert all(one["before"] != one["after"] and one["reason"] for one in decisions)


async def test_users_who_do_not_operate_are_refused(mesh: Mesh) -> None:
    async with mesh.user() as client:
        for method, path in (
            ("GET", "/v1/ops/regions"),
            ("GET", "/v1/ops/placements"),
            ("GET", "/v1/ops/scaling"),
            ("POST", f"/v1/ops/regions/{REGIONS[0]}:cordon"),
        ):
            with pytest.raises(ApiError) as refused:
                await client.call(method, path, {} if method == "POST" else None)
            assert refused.value.status == 403


async def test_an_unknown_region_is_a_clear_error(mesh: Mesh) -> None:
    done = mesh.reelmesh("regions", "cordon", "moon", check=False)
    assert done.returncode == 1
    assert "no such region (REGION_NOT_FOUND)" in done.stderr
