"""`reelmesh logs`: the logs of one process or of all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.commands.terminal import DataOption, explained
from deploy.local.failures import LocalFailure
from deploy.local.layout import Layout
from deploy.local.logfiles import last_lines

POLL_SECONDS: Final = 0.3
DEFAULT_LINES: Final = 50
LINE_CHARACTERS_MAX: Final = 16_384


def logs(
    service: Annotated[str | None, typer.Argument(help="Such as platform; all if left out")] = None,
    data: DataOption = None,
    *,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0)] = DEFAULT_LINES,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C")] = False,
) -> None:
    """Show the last lines of the logs."""
    layout = Layout.at(data)
    with explained():
        paths = _paths(layout, service)
        seen = {path: path.stat().st_size for path in paths}
        for path in paths:
            text = last_lines(path, lines, line_characters_max=LINE_CHARACTERS_MAX)
            for line in text.splitlines():
                _write(path, line, alone=service is not None)
        if follow:
            try:
                _follow(layout, service, seen)
            except KeyboardInterrupt:
                return


def _paths(layout: Layout, service: str | None) -> list[Path]:
    known = sorted(layout.logs.glob("*.log"))
    if service is None:
        return known
    path = layout.log(service)
    if path not in known:
        names = ", ".join(one.stem for one in known) or "none yet"
        raise LocalFailure(f"There is no log of '{service}'. The processes with logs: {names}.")
    return [path]


def _follow(layout: Layout, service: str | None, seen: dict[Path, int]) -> None:
    while True:
        time.sleep(POLL_SECONDS)
        for path in _paths(layout, service):
            size = path.stat().st_size
            # A log that was cut starts anew.
            start = seen.get(path, 0) if size >= seen.get(path, 0) else 0
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            seen[path] = start + len(whole)
            for line in whole.decode(errors="replace").splitlines():
                _write(path, line, alone=service is not None)


def _write(path: Path, line: str, *, alone: bool) -> None:
    typer.echo(line if alone else f"{path.stem:<24} {line}")
