"""`reelmesh simulate`: the live scheduling policy and simpler ones on the same workload."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from deploy.commands.terminal import JsonOption, explained, progress, results
from deploy.local.failures import LocalFailure
from inference.simulation.comparison import compare, document_text
from inference.simulation.fleet import DEFAULT_PRICES, FleetPlan, spot_fleet, steady_fleet
from inference.simulation.report import page, rows
from inference.simulation.traces import BadTrace, Trace, read
from inference.simulation.workload import Request, generate

JOBS_DEFAULT: Final = 1500
JOBS_MAX: Final = 200_000
DEVICES_DEFAULT: Final = 8
DEVICES_MAX: Final = 1000
SPEED_MAX: Final = 1000.0


def simulate(
    *,
    trace: Annotated[
        list[Path] | None,
        typer.Option(help="Recorded requests (.csv), a zone of spot devices (.json), or a folder"),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=JOBS_MAX, help="Jobs to generate or to take")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Gives the same workload again")] = 1,
    devices: Annotated[
        int, typer.Option(min=1, max=DEVICES_MAX, help="Devices in all; with zones, in each")
    ] = DEVICES_DEFAULT,
    resident: Annotated[
        int, typer.Option(min=1, max=100, help="Models that a device keeps loaded")
    ] = 2,
    speed: Annotated[
        float, typer.Option(min=0.001, max=SPEED_MAX, help="How much faster requests arrive")
    ] = 1.0,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for report.html and report.json")
    ] = Path("simulation"),
    as_json: JsonOption = False,
) -> None:
    """Compare the live scheduling policy with simpler ones; nothing needs to run.

    Without a trace of requests a workload is generated, like that of a production service.
    """
    with explained():
        recorded = _read(trace or [])
        plan = _plan(recorded, devices, resident)
        requests, source = _requests(recorded, jobs, seed, plan)
        hurried = [_faster(request, speed) for request in requests]
        document = compare(
            hurried,
            plan,
            source=f"{source}, arrivals {speed:g} times as fast",
            begin=lambda name: progress.print(f"simulating {name} ..."),
        )
        _write(output, document)
        if as_json:
            typer.echo(document_text(document), nl=False)
            return
        heading, *body = rows(document)
        table = Table(box=None, pad_edge=False)
        for title in heading:
            table.add_column(title, no_wrap=True)
        for row in body:
            table.add_row(*row)
        results.print(table)
        results.print(str(output / "report.html"), markup=False, highlight=False)


def _read(paths: list[Path]) -> Trace:
    try:
        found = [read(path) for path in paths]
    except BadTrace as error:
        raise LocalFailure(str(error)) from error
    with_requests = [one for one in found if one.requests]
    if len(with_requests) > 1:
        raise LocalFailure("Name one trace with requests; a second one has another begin.")
    return Trace(
        with_requests[0].requests if with_requests else (),
        tuple(zone for one in found for zone in one.zones),
    )


def _plan(recorded: Trace, devices: int, resident: int) -> FleetPlan:
    if recorded.zones:
        return spot_fleet(recorded.zones, devices, resident)
    return steady_fleet(devices, resident)


def _requests(
    recorded: Trace, jobs: int | None, seed: int, plan: FleetPlan
) -> tuple[list[Request], str]:
    if recorded.requests:
        return list(recorded.requests[:jobs]), "a recorded trace"
    names = [name for name, _, _ in plan.regions]
    # A region that must be used needs a fleet that is always there.
    homes = [name for name in names if name in DEFAULT_PRICES]
    count = jobs or JOBS_DEFAULT
    return generate(count, seed, homes), f"a generated workload with seed {seed}"


def _faster(request: Request, speed: float) -> Request:
    if speed == 1:
        return request
    at = request.at / speed
    deadline = None if request.deadline is None else at + request.deadline - request.at
    return replace(request, at=at, deadline=deadline)


def _write(output: Path, document: dict[str, Any]) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / "report.json").write_text(document_text(document), encoding="utf-8")
        (output / "report.html").write_text(page(document), encoding="utf-8")
    except OSError as error:
        raise LocalFailure(
            f"The report cannot be written to {output}: {error.strerror}. Name another folder "
            "with -o."
        ) from error
