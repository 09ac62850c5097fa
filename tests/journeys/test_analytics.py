"""What people do becomes marts, on the running platform."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from deploy.account import sign_in_as_operator
from deploy.client import ApiError, ReelmeshClient
from meshkit.clock import utc_now, uuid7
from tests.journeys.mesh import Mesh

TOOL = "text-to-image"
PICTURE = {"prompt": "a red circle", "steps": 4}
WAIT_SECONDS_MAX = 60


def event(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "message_id": str(uuid7()),
        "name": "tool_opened",
        "occurred_at": utc_now().isoformat(),
        "properties": properties,
    }


async def mart(operator: ReelmeshClient, name: str) -> list[dict[str, Any]]:
    return (await operator.call("GET", f"/v1/ops/etl/marts/{name}")).get("rows", [])


async def credits_of_tool(operator: ReelmeshClient) -> float:
    rows = await mart(operator, "unit_economics")
    return sum(row["credits_charged"] for row in rows if row["tool"] == TOOL)


async def loaded(mesh: Mesh) -> dict[str, Any]:
    """Load until every charge is in the mart: the events of the last ones follow in a moment."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            made = json.loads((await mesh.command("etl", "run", "--json")).stdout)
            if not made["counts"]["pending_credits"]:
                return made


async def test_events_become_marts_that_agree_with_the_ledger(mesh: Mesh, tmp_path) -> None:
    async with mesh.user() as user, ReelmeshClient(mesh.gateway_url) as operator:
        await sign_in_as_operator(operator, mesh.layout)
        batch = {"events": [event({"tool": TOOL}), event({"tool": 3})]}
        answer = await user.call("POST", "/v1/events:collect", batch)
        assert (answer["accepted"], answer["rejected"][0]["reason"]) == (1, "SCHEMA_VIOLATION")
        again = await user.call("POST", "/v1/events:collect", batch)
        assert (again["accepted"], again["duplicates"]) == (0, 1)
        failed = (await user.call("GET", "/v1/failed-events"))["failed_events"]
        assert [one["properties"]["tool"] for one in failed] == [3]
        begun = await user.run(TOOL, PICTURE)
        run = await user.finished(begun["run_id"])
        assert run["state"] == "succeeded"
        with pytest.raises(ApiError) as refused:
            await user.call("POST", "/v1/ops/etl:run", {})
        assert refused.value.reason == "CALLER_NOT_ALLOWED"

        made = await loaded(mesh)

        assert (made["state"], made.get("offenders", [])) == ("succeeded", [])
        counts = made["counts"]
        assert counts["mart_credits"] == counts["ledger_credits"] >= run["credits_charged"]
        assert (counts["lost_events"], counts["unreadable_events"]) == (0, 0)
        economics = await mart(operator, "unit_economics")
        assert sum(row["credits_charged"] for row in economics) == counts["mart_credits"]
        assert {TOOL} <= {row["tool"] for row in economics}
        newest = (await mart(operator, "funnel"))[:5]
        assert newest[0]["stage"] == "signed_up"
        assert all(row["users"] >= 1 for row in newest[:4])
    page = tmp_path / "report.html"
    await mesh.command("etl", "report", "--output", str(page))
    assert "<svg" in page.read_text()
    assert TOOL in page.read_text()
