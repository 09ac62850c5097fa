"""Frontends tell what people do, and every event becomes marts that agree with the ledger."""

from __future__ import annotations

from typing import Any, Final

from deploy.client import Document, ReelmeshClient
from deploy.commands.etl import make_run
from deploy.tour.guide import Guide
from meshkit.clock import Ambient

ORDER: Final = 60
TITLE: Final = "Events, the lake and its marts"


async def run(guide: Guide) -> None:
    """Collect a batch, make a picture, load everything, and read a mart and the report."""
    async with guide.user("analyst") as user, guide.operator() as operator:
        await _collect(guide, user)
        await guide.picture(user, "a yellow star")
        made = await make_run(operator)
        found = [one["check"] for one in made.get("offenders", [])]
        guide.check(made["state"] == "succeeded", f"the run failed: {made['failure']} {found}")
        counts = made["counts"]
        guide.say(
            f"{made['etl_run_id']} loaded {counts['bronze_rows']:.0f} messages and made marts of "
            f"{counts['silver_rows']:.0f} new events"
        )
        guide.check(
            counts["mart_credits"] == counts["ledger_credits"] - counts["pending_credits"],
            f"the mart's credits are not the ledger's: {counts}",
        )
        charged = f"{counts['mart_credits']:.0f} credits in the mart"
        guide.say(f"{charged}; the ledger says the same, run by run")
        mart = await operator.call("GET", "/v1/ops/etl/marts/unit_economics")
        for row in mart.get("rows", [])[:2]:
            guide.say(
                f"{row['tool']} in {row['region']}: {row['runs']:.0f} runs, "
                f"{row['credits_charged']:.0f} credits, {row['device_ms'] / 1000:.1f} s of devices"
            )


async def _collect(guide: Guide, user: ReelmeshClient) -> None:
    ambient = Ambient()
    good = _event(str(ambient.new_id()), {"tool": "text-to-image", "from": "home"})
    bad = _event(str(ambient.new_id()), {"tool": "text-to-image", "mood": "happy"})
    answer = await user.call("POST", "/v1/events:collect", {"events": [good, bad, good]})
    [rejected] = answer["rejected"]
    guide.check(
        (answer["accepted"], answer["duplicates"], rejected["index"]) == (1, 1, 1),
        f"the batch was answered with {answer}",
    )
    guide.say(f"of three events one was taken, one known, one not: {rejected['message']}")
    failed = (await user.call("GET", "/v1/failed-events"))["failed_events"]
    guide.check(failed[0]["reason"] == "SCHEMA_VIOLATION", f"the failed events are {failed}")


def _event(message_id: str, properties: dict[str, Any]) -> Document:
    return {
        "message_id": message_id,
        "name": "tool_opened",
        "occurred_at": Ambient().now().isoformat(),
        "properties": properties,
    }
