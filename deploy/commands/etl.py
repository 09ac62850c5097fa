"""`reelmesh etl`: load the events, see how the runs went, write the report."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from deploy.account import sign_in_as_operator
from deploy.client import Document, ReelmeshClient
from deploy.commands.terminal import (
    DataOption,
    JsonOption,
    explained,
    progress,
    results,
    running_gateway,
)
from deploy.local.failures import LocalFailure
from deploy.local.layout import Layout

RUN_SECONDS_MAX: Final = 1800.0
POLL_SECONDS: Final = 0.2
ENDED: Final = frozenset({"succeeded", "failed"})
RUNS_SHOWN: Final = 10
REPORT: Final = Path("reelmesh-report.html")

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Where to write the page")]

etl = typer.Typer(no_args_is_help=True)


class EtlFailed(LocalFailure):
    """A run of the loader did not end well."""

    def __init__(self, run: Document) -> None:
        broken = "".join(
            f"\n  {one['check']}: broken by {', '.join(one.get('offenders', []))}"
            for one in run.get("offenders", [])
        )
        super().__init__(
            f"The run {run['etl_run_id']} failed: {run['failure']}.{broken}\n"
            "`reelmesh logs platform` tells more."
        )


@etl.command()
def run(data: DataOption = None, *, as_json: JsonOption = False) -> None:
    """Load every event that was published so far, make the marts and check them."""
    with explained():
        made = asyncio.run(_run(Layout.at(data)))
        if as_json:
            results.print_json(json.dumps(made))
        elif made["state"] == "succeeded":
            _print_counts(made)
        if made["state"] != "succeeded":
            raise EtlFailed(made)


@etl.command()
def status(data: DataOption = None, *, as_json: JsonOption = False) -> None:
    """Show the newest runs and what their checks found."""
    with explained():
        path = f"/v1/ops/etl/runs?page_size={RUNS_SHOWN}"
        runs = asyncio.run(_get(Layout.at(data), path)).get("runs", [])
        if as_json:
            results.print_json(json.dumps(runs))
            return
        table = Table(box=None)
        for title in ("run", "state", "asked by", "asked at", "seconds", "new events", "found"):
            table.add_column(title, overflow="fold")
        for one in runs:
            found = [one.get("failure", ""), *(each["check"] for each in one.get("offenders", []))]
            table.add_row(
                *(one["etl_run_id"], one["state"], one["asked_by"], one["asked_at"]),
                _seconds(one),
                _number(one, "silver_rows"),
                "; ".join(filter(None, found)),
            )
        results.print(table)


@etl.command()
def report(output: OutputOption = REPORT, data: DataOption = None) -> None:
    """Write the newest report, a page of plots, to a file."""
    with explained():
        found = asyncio.run(_get(Layout.at(data), "/v1/ops/etl/report"))
        try:
            output.write_text(found["html"], encoding="utf-8")
        except OSError as error:
            raise LocalFailure(
                f"The report cannot be written to {output}: {error.strerror}. Name another file "
                "with --output."
            ) from error
        results.print(f"{output} (made at {found['made_at']})", highlight=False)


async def make_run(client: ReelmeshClient) -> Document:
    """Ask for a run as an operator and give it when it has ended.

    Raises:
        LocalFailure: it did not end within half an hour.
    """
    asked = await client.call("POST", "/v1/ops/etl:run", {})
    path = f"/v1/ops/etl/runs/{asked['etl_run_id']}"
    deadline = time.monotonic() + RUN_SECONDS_MAX
    while time.monotonic() < deadline:
        made = await client.call("GET", path)
        if made["state"] in ENDED:
            return made
        await asyncio.sleep(POLL_SECONDS)  # Another process makes it, and tells nobody.
    raise LocalFailure(f"The run {asked['etl_run_id']} did not end. See `reelmesh etl status`.")


async def _run(layout: Layout) -> Document:
    async with ReelmeshClient(running_gateway(layout)) as client:
        await sign_in_as_operator(client, layout)
        with progress.status("loading events"):
            return await make_run(client)


async def _get(layout: Layout, path: str) -> Document:
    async with ReelmeshClient(running_gateway(layout)) as client:
        await sign_in_as_operator(client, layout)
        return await client.call("GET", path)


def _print_counts(made: Document) -> None:
    table = Table("what", "count", box=None)
    for name in sorted(made.get("counts", {})):
        table.add_row(name.replace("_", " "), _number(made, name))
    results.print(table)
    results.print("All checks hold; `reelmesh etl report` writes the plots.", highlight=False)


def _number(made: Document, name: str) -> str:
    count = made.get("counts", {}).get(name)
    return "" if count is None else f"{count:.0f}"


def _seconds(made: Document) -> str:
    times = (made.get("started_at"), made.get("finished_at"))
    if not all(times):
        return ""
    began, ended = (datetime.fromisoformat(str(one)) for one in times)
    return f"{(ended - began).total_seconds():.1f}"
