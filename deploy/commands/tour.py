"""`reelmesh tour`: every part of the platform does its job and says what it did."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer

from deploy.commands.booting import booted
from deploy.commands.terminal import (
    DataOption,
    JsonOption,
    explained,
    progress,
    results,
)
from deploy.local.interruption import run_until_signal
from deploy.local.layout import Layout
from deploy.tour.guide import Guide
from deploy.tour.stops import Stop, Visit, chosen, visit

NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[STOP]...", help="Only these stops")
]
PROBLEM_STATUS: Final = 1


def tour(
    names: NamesArgument = None, data: DataOption = None, *, as_json: JsonOption = False
) -> None:
    """Show every part of the platform at work; boots it if it is not up."""
    layout = Layout.at(data)
    with explained():
        stops = chosen(names or [])
        layout.prepare()
        seen = run_until_signal(
            _tour(layout, stops, as_json=as_json),
            on_signal=lambda: progress.print("Stopping everything ..."),
        )
    problems = [one for one in seen if one.problem]
    if as_json:
        results.print_json(json.dumps([_document(one) for one in seen]))
    else:
        seconds = sum(one.seconds for one in seen)
        results.print(f"{len(seen) - len(problems)} of {len(seen)} stops in {seconds:.0f} s")
    if problems:
        raise typer.Exit(PROBLEM_STATUS)


async def _tour(layout: Layout, stops: list[Stop], *, as_json: bool) -> list[Visit]:
    async with booted(layout) as gateway_url:
        seen = []
        for number, stop in enumerate(stops, 1):
            with progress.status(f"{number} of {len(stops)}: {stop.title}"):
                seen.append(await visit(stop, Guide(gateway_url, layout)))
            if not as_json:
                _show(number, seen[-1])
        return seen


def _show(number: int, one: Visit) -> None:
    sign = "[red]✗[/]" if one.problem else "[green]✓[/]"
    results.print(f"{sign} [bold]{number}. {one.stop.title}[/]  {one.seconds:.1f} s")
    for fact in one.said:
        results.print(f"    {fact}", markup=False, highlight=False)
    if one.problem:
        results.print(f"    {one.problem}", markup=False, highlight=False)


def _document(one: Visit) -> dict[str, object]:
    return {
        "stop": one.stop.name,
        "title": one.stop.title,
        "seconds": round(one.seconds, 1),
        "said": list(one.said),
        "problem": one.problem,
    }
