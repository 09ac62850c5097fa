"""`reelmesh regions`: the regions and what they do; cordon, drain and uncordon them."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Table

from deploy.account import sign_in_as_operator
from deploy.client import Document, ReelmeshClient
from deploy.commands.terminal import DataOption, JsonOption, explained, results, running_gateway
from deploy.local.layout import Layout
from deploy.local.status import find_supervisor, read_status

NameArgument = Annotated[str, typer.Argument(help="Name of the region, such as us-east")]
NoteOption = Annotated[str, typer.Option(help="Why, for other operators")]

regions = typer.Typer(no_args_is_help=False)


@regions.callback(invoke_without_command=True)
def show(context: typer.Context, data: DataOption = None, *, as_json: JsonOption = False) -> None:
    """Show each region's state, its work, and its Ray addresses for `ray job submit`."""
    if context.invoked_subcommand is not None:
        return
    layout = Layout.at(data)
    with explained():
        merged = _merged(layout)
        if as_json:
            results.print_json(json.dumps(merged))
            return
        _print(merged)
        results.print(
            "To submit jobs: export RAY_AUTH_MODE=token "
            f"RAY_AUTH_TOKEN_PATH='{layout.secrets / 'ray_token'}'",
            markup=False,
            highlight=False,
        )


@regions.command()
def cordon(name: NameArgument, note: NoteOption = "", data: DataOption = None) -> None:
    """Give a region no new work; what it holds goes on."""
    _change(Layout.at(data), name, "cordon", note)


@regions.command()
def drain(name: NameArgument, note: NoteOption = "", data: DataOption = None) -> None:
    """Cordon a region and let the work that has not begun there run elsewhere."""
    _change(Layout.at(data), name, "drain", note)


@regions.command()
def uncordon(name: NameArgument, note: NoteOption = "", data: DataOption = None) -> None:
    """Put a region back into service."""
    _change(Layout.at(data), name, "uncordon", note)


@regions.command()
def placements(data: DataOption = None, *, as_json: JsonOption = False) -> None:
    """Show the newest placements, each with its reason."""
    layout = Layout.at(data)
    with explained():
        found = asyncio.run(_call(layout, "GET", "/v1/ops/placements"))["placements"]
        if as_json:
            results.print_json(json.dumps(found))
            return
        table = Table("placed at", "job", "fence", "why", box=None)
        for one in found:
            table.add_row(one["placed_at"], one["job_id"], str(one["fence"]), one["reason"])
        results.print(table)


@regions.command()
def scaling(data: DataOption = None, *, as_json: JsonOption = False) -> None:
    """Show the newest changes of how many replicas a region should run, each with its reason."""
    layout = Layout.at(data)
    with explained():
        found = asyncio.run(_call(layout, "GET", "/v1/ops/scaling"))["decisions"]
        if as_json:
            results.print_json(json.dumps(found))
            return
        table = Table("decided at", "region", "model", "replicas", "why", box=None)
        for one in found:
            change = f"{one['before']} to {one['after']}"
            table.add_row(one["decided_at"], one["region"], one["model"], change, one["reason"])
        results.print(table)


def _change(layout: Layout, name: str, verb: str, note: str) -> None:
    with explained():
        path = f"/v1/ops/regions/{quote(name, safe='')}:{verb}"
        region = asyncio.run(_call(layout, "POST", path, {"note": note}))
        results.print(f"{region['name']} is {region['state']}", highlight=False)


async def _call(layout: Layout, method: str, path: str, body: object = None) -> Document:
    async with ReelmeshClient(running_gateway(layout)) as client:
        await sign_in_as_operator(client, layout)
        return await client.call(method, path, body)


def _merged(layout: Layout) -> list[dict[str, Any]]:
    """Give what the supervisor knows of each region, and the scheduler while it runs."""
    document = read_status(layout)
    here = {one["name"]: one for one in document["regions"]}
    known: dict[str, Any] = {}
    if find_supervisor(layout) is not None and document.get("ready"):
        answer = asyncio.run(_call(layout, "GET", "/v1/ops/regions"))
        known = {one["name"]: one for one in answer.get("regions", [])}
    return [
        {**here.get(name, {"name": name, "state": "elsewhere"}), "service": known.get(name)}
        for name in sorted(here.keys() | known.keys())
    ]


def _print(merged: list[dict[str, Any]]) -> None:
    table = Table(
        *("region", "process", "service", "waiting", "running", "models", "replicas"),
        *("Ray address", "dashboard", "note"),
        box=None,
    )
    for one in merged:
        service = one["service"] or {}
        table.add_row(
            *(one["name"], one["state"], service.get("state", "")),
            *(str(service.get(f"{kind}_leases", "")) for kind in ("waiting", "running")),
            " ".join(service.get("models", [])),
            " ".join(_replicas(one) for one in service.get("replicas", [])),
            *(one.get("ray_address", ""), one.get("dashboard_url", ""), service.get("note", "")),
        )
    results.print(table)


def _replicas(one: Document) -> str:
    return f"{one['running']}/{one['target']} of {one['minimum']}-{one['maximum']}"
