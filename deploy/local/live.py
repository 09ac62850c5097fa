"""Shows how the platform starts: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from deploy.local.status import ProcessStatus, State

STYLES: Final = {
    State.READY: "green",
    State.STARTING: "yellow",
    State.RESTARTING: "yellow",
    State.UNHEALTHY: "red",
    State.CRASH_LOOP: "bold red",
}
REFRESHES_PER_SECOND: Final = 8
DETAIL_CHARACTERS_MAX: Final = 60


class Display(Protocol):
    """An observer that is shown between entering and leaving."""

    def changed(self, status: ProcessStatus) -> None:
        """Take note that a process has another state now."""

    def reported(self, message: str) -> None:
        """Show a message."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last picture on the screen."""


def display_for(console: Console) -> Display:
    """Give the display that fits where the output goes."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class PlainDisplay:
    """Writes one line when a process is ready or in trouble."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._shown: dict[str, State] = {}

    def changed(self, status: ProcessStatus) -> None:
        """Write a line, unless nothing that matters changed."""
        if self._shown.get(status.name) == status.state or status.state == State.WAITING:
            return
        self._shown[status.name] = status.state
        seconds = time.monotonic() - self._began
        detail = "" if status.state == State.READY else _detail(status)
        self._line(f"{seconds:6.1f} s  {status.name:<24} {status.state.value} {detail}".rstrip())

    def reported(self, message: str) -> None:
        """Write the message."""
        self._line(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """Draws a table that follows the states, and prints messages above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._statuses: dict[str, ProcessStatus] = {}
        self._spinner = Spinner("dots")
        self._live = Live(
            console=console,
            get_renderable=self._table,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=False,
        )

    def changed(self, status: ProcessStatus) -> None:
        """Remember the status; the table is drawn from it."""
        self._statuses[status.name] = status

    def reported(self, message: str) -> None:
        """Print the message above the table."""
        self._console.print(message, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def _table(self) -> Table:
        return process_table(self._statuses.values(), self._spinner)


def process_table(statuses: Iterable[ProcessStatus], spinner: Spinner | None = None) -> Table:
    """Give the processes as a table."""
    table = Table(box=None, pad_edge=False)
    for title in ("", "process", "state", "port", "pid", "seconds", "restarts", ""):
        table.add_column(title, justify="right" if title in {"port", "pid", "seconds"} else "left")
    for one in statuses:
        style = STYLES.get(one.state, "dim")
        busy = one.state in {State.STARTING, State.RESTARTING} and spinner is not None
        table.add_row(
            spinner if busy and spinner is not None else Text("●", style=style),
            one.name,
            Text(one.state.value, style=style),
            str(one.port or ""),
            str(one.pid or ""),
            "" if one.ready_seconds is None else f"{one.ready_seconds:.1f}",
            str(one.restarts or ""),
            Text("" if one.state == State.READY else _detail(one), style="dim"),
        )
    return table


def _detail(status: ProcessStatus) -> str:
    return status.detail.partition("\n")[0][:DETAIL_CHARACTERS_MAX]
