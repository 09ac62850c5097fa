"""Operators take a region out of service and put it back, by the commands that they type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.client import ApiError
from tests.journeys.mesh import Mesh

PICTURE = {"prompt": "a red circle", "steps": 4, "seed": 5}
REGION = "us-east"


async def region(mesh: Mesh) -> dict[str, Any]:
    [one] = json.loads((await mesh.command("regions", "--json")).stdout)
    assert one["name"] == REGION
    return one


async def test_a_cordoned_region_gets_no_work_until_it_is_uncordoned(mesh: Mesh) -> None:
    cordoned = await mesh.command("regions", "cordon", REGION, "--note", "a new driver")
    assert cordoned.stdout.strip() == f"{REGION} is cordoned"
    try:
        async with mesh.user() as client:
            run = await client.run("text-to-image", PICTURE)
            shown = await region(mesh)
            assert (shown["service"]["state"], shown["service"]["note"]) == (
                "cordoned",
                "a new driver",
            )
            assert shown["ray_address"]
            waiting = await client.get_run(run["run_id"])
            assert (waiting["state"], waiting["step"]) == ("queued", 0)

            opened = await mesh.command("regions", "uncordon", REGION)
            assert opened.stdout.strip() == f"{REGION} is active"
            assert (await client.finished(run["run_id"]))["state"] == "succeeded"
    finally:
        await mesh.command("regions", "uncordon", REGION)

    placements = json.loads((await mesh.command("regions", "placements", "--json")).stdout)
    assert f"{REGION} is warm" in placements[0]["reason"]
    assert (await mesh.offenders()) == {}


async def test_draining_an_idle_region_ends_drained(mesh: Mesh) -> None:
    try:
        drained = await mesh.command("regions", "drain", REGION)
        assert drained.stdout.strip() in {f"{REGION} is drained", f"{REGION} is draining"}
    finally:
        await mesh.command("regions", "uncordon", REGION)
    assert (await region(mesh))["service"]["state"] == "active"


async def test_users_who_do_not_operate_are_refused(mesh: Mesh) -> None:
    async with mesh.user() as client:
        for method, path in (
            ("GET", "/v1/ops/regions"),
            ("GET", "/v1/ops/placements"),
            ("POST", f"/v1/ops/regions/{REGION}:cordon"),
        ):
            with pytest.raises(ApiError) as refused:
                await client.call(method, path, {} if method == "POST" else None)
            assert refused.value.status == 403


async def test_an_unknown_region_is_a_clear_error(mesh: Mesh) -> None:
    done = mesh.reelmesh("regions", "cordon", "moon", check=False)
    assert done.returncode == 1
    assert "no such region (REGION_NOT_FOUND)" in done.stderr
