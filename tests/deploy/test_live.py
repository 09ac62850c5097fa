from __future__ import annotations

import io

from rich.console import Console

from deploy.local.live import LiveDisplay, PlainDisplay, display_for
from deploy.local.status import ProcessStatus, State


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), width=120, force_terminal=terminal)


def text(shown: Console) -> str:
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def status(state: State, detail: str = "") -> ProcessStatus:
    return ProcessStatus("nats", "2.0", 4222, 77, state, detail=detail)


def test_a_pipe_gets_one_line_for_each_change() -> None:
    shown = console(terminal=False)
    with display_for(shown) as display:
        assert isinstance(display, PlainDisplay)
        for state in (State.WAITING, State.STARTING, State.STARTING, State.READY):
            display.changed(status(state))
        display.changed(status(State.RESTARTING, "it ended with [status 3]"))
        display.reported("a message with [brackets]")

    lines = text(shown).splitlines()
    assert [line.split()[3] for line in lines[:3]] == ["starting", "ready", "restarting"]
    assert lines[2].endswith("it ended with [status 3]")
    assert lines[3] == "a message with [brackets]"


def test_a_terminal_gets_a_table() -> None:
    shown = console(terminal=True)
    with display_for(shown) as display:
        assert isinstance(display, LiveDisplay)
        display.changed(status(State.STARTING, "no answer"))
        display.reported("a message")
        display.changed(status(State.READY))

    for part in ("nats", "4222", "ready", "a message"):
        assert part in text(shown)
