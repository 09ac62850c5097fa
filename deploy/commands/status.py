"""`reelmesh status`: what runs, and whether it is well."""

from __future__ import annotations

import json

import typer
from rich.table import Table
from rich.text import Text

from deploy.commands.terminal import DataOption, JsonOption, explained, results
from deploy.local.layout import Layout
from deploy.local.live import STYLES
from deploy.local.status import State, read_status, summarize


def status(data: DataOption = None, *, as_json: JsonOption = False) -> None:
    """Show every process with its port, version and health; exit status 1 unless all are ready."""
    layout = Layout.at(data)
    with explained():
        document = read_status(layout)
        if as_json:
            results.print_json(json.dumps(document))
        else:
            _show(document)
        healthy = [p["state"] == State.READY.value for p in document["processes"]]
        if not healthy or not all(healthy):
            raise typer.Exit(1)


def _show(document: dict[str, object]) -> None:
    processes = document["processes"]
    assert isinstance(processes, list)
    if not processes:
        results.print("Nothing was started with this data folder yet.")
        return
    table = Table("process", "state", "port", "pid", "version", "restarts", "", box=None)
    for one in processes:
        state = str(one["state"])
        style = STYLES.get(State(state), "dim") if state in set(State) else "red"
        table.add_row(
            one["name"],
            Text(state, style=style),
            *(str(one["port"] or ""), str(one["pid"] or ""), one["version"]),
            *(str(one["restarts"] or ""), str(one["detail"])),
        )
    results.print(table)
    results.print(f"{summarize(processes)}; gateway {document['gateway_url']}", highlight=False)
