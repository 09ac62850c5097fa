"""Operators see where work goes and why, and how many replicas run for it."""

from __future__ import annotations

from typing import Final

from deploy.tour.guide import Guide

ORDER: Final = 130
TITLE: Final = "Regions, placements and replicas"


async def run(guide: Guide) -> None:
    """Look at the regions, cordon one, see its work wait, and open it again."""
    async with guide.operator() as operator, guide.user("waiter") as user:
        regions = (await operator.call("GET", "/v1/ops/regions"))["regions"]
        for region in regions:
            sizes = ", ".join(
                f"{one['running']} (of {one['minimum']} to {one['maximum']}) {one['model']}"
                for one in region.get("replicas", [])
            )
            guide.say(f"{region['name']} is {region['state']} and runs {sizes or 'nothing'}")
        names = [region["name"] for region in regions]
        try:
            for name in names:
                await operator.call("POST", f"/v1/ops/regions/{name}:cordon", {"note": "tour"})
            inputs = {"prompt": "a blue square", "steps": 4}
            run = await user.run("text-to-image", inputs)
            waiting = await user.get_run(run["run_id"])
            guide.check(waiting["state"] == "queued", "a cordoned region took work")
            guide.say(f"cordoned: {run['run_id']} waits in the queue")
        finally:
            for name in names:
                await operator.call("POST", f"/v1/ops/regions/{name}:uncordon", {})
        ended = await user.finished(run["run_id"])
        guide.check(ended["state"] == "succeeded", f"the run ended {ended['state']}")
        placements = (await operator.call("GET", "/v1/ops/placements"))["placements"]
        guide.say(f"open again, it ran: {placements[0]['reason']}")
        for one in (await operator.call("GET", "/v1/ops/scaling"))["decisions"][:2]:
            change = f"{one['before']} to {one['after']} replicas"
            guide.say(f"{one['region']} went from {change}: {one['reason']}")
