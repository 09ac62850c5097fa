"""`reelmesh audit`: whether the audit logs are as they were written."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Final
from urllib.parse import quote

import typer
from rich.table import Table

from deploy.account import sign_in_as_operator
from deploy.client import Document, ReelmeshClient
from deploy.commands.terminal import DataOption, JsonOption, explained, results, running_gateway
from deploy.local.layout import Layout

PAGE_SIZE: Final = 100
BROKEN_STATUS: Final = 1

OrgOption = Annotated[str, typer.Option(help="Only the log of this organization (org_...)")]

audit = typer.Typer(no_args_is_help=True)


@audit.callback()
def group() -> None:
    """Keep `verify` a command of its own, beside those to come."""


@audit.command()
def verify(org: OrgOption = "", data: DataOption = None, *, as_json: JsonOption = False) -> None:
    """Compute every hash of the audit logs anew; exit status 1 if one was tampered with."""
    layout = Layout.at(data)
    with explained():
        verdicts = asyncio.run(_verdicts(layout))
    if org:
        verdicts = [one for one in verdicts if one["org_id"] == org]
    broken = [one for one in verdicts if not one.get("intact")]
    if as_json:
        results.print_json(json.dumps({"logs": verdicts, "broken": len(broken)}))
    else:
        _print(verdicts, broken)
    if broken:
        raise typer.Exit(BROKEN_STATUS)


async def _verdicts(layout: Layout) -> list[Document]:
    found: list[Document] = []
    async with ReelmeshClient(running_gateway(layout)) as client:
        await sign_in_as_operator(client, layout)
        token = ""
        while True:
            path = f"/v1/ops/audit-logs:verify?page_size={PAGE_SIZE}&page_token={quote(token)}"
            page = await client.call("GET", path)
            found.extend(page.get("verdicts", []))
            token = page.get("next_page_token", "")
            if not token:
                return found


def _print(verdicts: list[Document], broken: list[Document]) -> None:
    if broken:
        table = Table("organization", "first entry that does not fit", "problem")
        for one in broken:
            table.add_row(one["org_id"], str(one["broken_at"]), one["problem"])
        results.print(table)
    entries = sum(int(one.get("entries", 0)) for one in verdicts)
    results.print(
        f"{len(verdicts)} logs with {entries} entries: "
        f"{len(verdicts) - len(broken)} intact, {len(broken)} tampered with."
    )
