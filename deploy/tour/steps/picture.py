"""The main job: a new user makes a picture and pays what was used."""

from __future__ import annotations

from typing import Final

from deploy.tour.guide import Guide

ORDER: Final = 10
TITLE: Final = "A picture"


async def run(guide: Guide) -> None:
    """Sign up, run text-to-image, and see the credits add up."""
    async with guide.user("painter") as painter:
        before = await painter.balance()
        run = await guide.picture(painter, "a large blue star on a yellow background", steps=20)
        after = await painter.balance()
        charged = run["credits_charged"]
        guide.check(after["available"] == before["available"] - charged, "the balance is off")
        guide.say(f"a new user started with {before['available']} credits")
        guide.say(
            f"{run['run_id']} waited {run['timings']['queue_ms']} ms, ran "
            f"{run['timings']['run_ms']} ms in {run['region']} and cost {charged} credits"
        )
