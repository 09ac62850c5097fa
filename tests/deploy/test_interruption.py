"""Ctrl-C ends whatever runs, and everything that was started with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import pytest

from deploy.local.layout import Layout
from deploy.local.ports import Ports
from deploy.local.status import is_locked
from tests.deploy.waiting import marked, until

COMMANDS = (["up"], ["up", "--detach"], ["demo"])


def states(layout: Layout) -> dict[str, str]:
    if not layout.state_file.exists():
        return {}
    processes = json.loads(layout.state_file.read_text())["processes"]
    return {one["name"]: one["state"] for one in processes}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_an_interrupt_in_the_middle_of_the_start_stops_everything(
    layout: Layout, command: list[str]
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *command, "--data", str(layout.data)),
        env={**os.environ, "REELMESH_PORT": str(Ports().one())},
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    await until(lambda: "ready" in states(layout).values(), seconds=60)
    assert marked(layout)

    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == (0 if command == ["up"] else 130)
    assert b"Traceback" not in errors
    assert marked(layout) == []
    assert not is_locked(layout)
    assert set(states(layout).values()) == {"stopped"}
