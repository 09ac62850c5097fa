"""Small programs that stand for components in the tests of the supervisor."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.local.component import Component, NotReady
from deploy.local.layout import Layout
from deploy.local.status import ProcessStatus, State

# Says that it is ready by a file, and then waits to be stopped.
SERVER = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
# Starts a child in a group of its own, as Ray does with its workers.
PARENT = (
    "import subprocess, sys, time, os, pathlib;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
    " process_group=0);"
    "pathlib.Path(sys.argv[1]).write_text(str(child.pid));"
    "time.sleep(600)"
)
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "signal.signal(signal.SIGINT, signal.SIG_IGN);" + SERVER
)
FAILING = "print('cannot find my configuration'); raise SystemExit(3)"


def program(
    name: str, layout: Layout, source: str = SERVER, *, needs: tuple[str, ...] = (), **more: object
) -> Component:
    """Describe a Python program that touches a file named for it when it is ready."""
    flag = layout.data / f"{name}.flag"

    async def check() -> None:
        if not flag.exists():
            raise NotReady("no flag")

    async def prepare() -> None:
        flag.unlink(missing_ok=True)

    return Component(
        name=name,
        version="1",
        port=None,
        command=(sys.executable, "-c", source, str(flag)),
        check=check,
        prepare=prepare,
        needs=needs,
        grace_seconds=0.5,
        **more,  # type: ignore[arg-type]
    )


class Recorder:
    """Remembers what an observer is told."""

    def __init__(self) -> None:
        self.states: list[tuple[str, State]] = []
        self.messages: list[str] = []

    def changed(self, status: ProcessStatus) -> None:
        self.states.append((status.name, status.state))

    def reported(self, message: str) -> None:
        self.messages.append(message)

    def index(self, name: str, state: State) -> int:
        return self.states.index((name, state))


def flag(layout: Layout, name: str) -> Path:
    return layout.data / f"{name}.flag"
