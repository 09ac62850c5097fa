"""`reelmesh up`: starts the platform, in the foreground or left running."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.commands.terminal import DataOption, explained, progress, results
from deploy.local.failures import AlreadyRunning, LocalFailure
from deploy.local.interruption import Interrupted, run_until_signal
from deploy.local.layout import Layout
from deploy.local.live import Display, display_for
from deploy.local.logfiles import last_lines
from deploy.local.mesh import DEFAULT_REGION, LocalMesh
from deploy.local.status import ProcessStatus, State, is_locked, read_status

POLL_SECONDS: Final = 0.2
STOP_SECONDS_MAX: Final = 60

RegionsOption = Annotated[
    str, typer.Option("--regions", help="Names of the regions to run, with commas")
]


def up(
    regions: RegionsOption = DEFAULT_REGION,
    data: DataOption = None,
    *,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when all is ready; stop it by `down`")
    ] = False,
) -> None:
    """Start the whole platform; Ctrl-C stops it."""
    layout = Layout.at(data)
    names = [name.strip() for name in regions.split(",") if name.strip()]
    with explained():
        if detach:
            _detached(layout, names)
        else:
            _foreground(layout, names)


def _foreground(layout: Layout, regions: list[str]) -> None:
    failure_file = layout.data / "failure.txt"
    failure_file.unlink(missing_ok=True)
    try:
        run_until_signal(_serve(layout, regions), on_signal=lambda: progress.print("Stopping ..."))
    except AlreadyRunning:
        raise
    except LocalFailure as failure:
        with suppress(OSError):  # The folder itself may be what is wrong.
            failure_file.write_text(str(failure))
        raise
    except Interrupted:
        # Asked for: the way to end the platform in the foreground.
        return


async def _serve(layout: Layout, regions: list[str]) -> None:
    display = display_for(progress)
    async with LocalMesh(layout, regions, display) as mesh:
        with display:
            await mesh.start()
        _greet(mesh.status.gateway_url)
        progress.print("Ctrl-C stops everything.")
        await asyncio.Event().wait()


def _detached(layout: Layout, regions: list[str]) -> None:
    layout.prepare()
    if is_locked(layout):
        raise AlreadyRunning(layout.data)
    log = layout.log("supervisor")
    layout.state_file.unlink(missing_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own command
            [
                *(sys.executable, "-m", "deploy.cli", "up", "--data", str(layout.data)),
                *("--regions", ",".join(regions)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with display_for(progress) as display:
            run_until_signal(_follow(layout, child, display))
    except Interrupted:
        child.terminate()
        child.wait(STOP_SECONDS_MAX)
        raise
    _greet(read_status(layout)["gateway_url"])
    progress.print("It keeps running; `reelmesh down` stops it.")


async def _follow(layout: Layout, child: subprocess.Popen[bytes], display: Display) -> None:
    """Show how the child gets on until all is ready.

    Raises:
        LocalFailure: it ended.
    """
    while True:
        ended = child.poll() is not None
        status = read_status(layout)
        # Before the child has taken the folder, the file tells of an earlier run.
        for one in status["processes"] if status["supervisor_pid"] else ():
            display.changed(_process(one))
        if status.get("ready"):
            return
        if ended:
            raise LocalFailure(_why(layout))
        await asyncio.sleep(POLL_SECONDS)  # Another process sets no events here.


def _process(document: dict[str, object]) -> ProcessStatus:
    fields = {**document, "state": State(str(document["state"]))}
    return ProcessStatus(**fields)  # type: ignore[arg-type]  # The document is our own.


def _why(layout: Layout) -> str:
    failure: Path = layout.data / "failure.txt"
    if failure.exists():
        return failure.read_text()
    log = layout.log("supervisor")
    return f"The supervisor ended. The last lines of {log}:\n{last_lines(log)}"


def _greet(gateway_url: str) -> None:
    progress.print("[bold green]Reelmesh is up.[/] Its gateway:")
    results.print(gateway_url)
