"""Batches of runs by several users, and what must hold when they are over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from deploy.client import Document, ReelmeshClient
from tests.journeys.mesh import Mesh

USERS = 5
RUNS = 20
SIGN_UP_CREDITS = 500


@dataclass
class Batch:
    """Runs that were started together, and the newest state of each."""

    owners: Sequence[ReelmeshClient]
    runs: dict[str, Document] = field(default_factory=dict)
    owner_of: dict[str, ReelmeshClient] = field(default_factory=dict)

    async def start(self, *, steps: int) -> None:
        await asyncio.gather(*(self._start_one(n, steps) for n in range(RUNS)))

    async def finish(self) -> None:
        """Follow every run to its end."""
        await asyncio.gather(*(self._follow(run_id) for run_id in list(self.runs)))

    def running_in(self, region: str) -> list[str]:
        """Give the runs that a region has begun and not ended."""
        return [
            run["run_id"]
            for run in self.runs.values()
            if (run["state"], run.get("region")) == ("running", region)
        ]

    def regions(self) -> set[str]:
        """Give the regions in which something runs."""
        running = (run for run in self.runs.values() if run["state"] == "running")
        return {run["region"] for run in running}

    def count(self, state: str) -> int:
        return sum(run["state"] == state for run in self.runs.values())

    async def assert_all_is_well(self, mesh: Mesh) -> None:
        """Demand that no run was lost, none charged twice and nothing is held."""
        assert {r["state"] for r in self.runs.values()} == {"succeeded"}, [
            (r["run_id"], r["state"], r.get("error")) for r in self.runs.values()
        ]
        for owner in self.owners:
            await self._assert_books(owner)
        assert await mesh.offenders() == {}

    async def _assert_books(self, owner: ReelmeshClient) -> None:
        mine = [run for run_id, run in self.runs.items() if self.owner_of[run_id] is owner]
        balance, ledger = await owner.balance(), await owner.ledger()
        charged = {run["run_id"]: -run["credits_charged"] for run in mine}
        captures = [one for one in ledger if one["kind"] == "capture"]
        assert balance["held"] == 0
        assert balance["available"] == SIGN_UP_CREDITS + sum(charged.values())
        assert sorted(one["reference"] for one in captures) == sorted(charged)
        assert {one["reference"]: one["amount_credits"] for one in captures} == charged
        listed = await owner.call("GET", "/v1/runs?page_size=200")
        assert {one["run_id"] for one in listed["runs"]} == set(charged)
        assets = await owner.call("GET", "/v1/assets?page_size=200")
        outputs = sorted(run["outputs"][0]["asset_id"] for run in mine)
        assert sorted(one["asset_id"] for one in assets["assets"]) == outputs
        for asset_id in outputs:
            assert (await owner.download(asset_id)).startswith(b"\x89PNG")

    async def _start_one(self, n: int, steps: int) -> None:
        owner = self.owners[n % len(self.owners)]
        inputs = {"prompt": "a small red circle on a white background", "steps": steps, "seed": n}
        run = await owner.run("text-to-image", inputs, key=f"batch-{n}")
        self.runs[run["run_id"]] = run
        self.owner_of[run["run_id"]] = owner

    async def _follow(self, run_id: str) -> None:
        async for run in self.owner_of[run_id].follow(run_id):
            self.runs[run_id] = run
