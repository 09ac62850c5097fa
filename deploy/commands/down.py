"""`reelmesh down`: stops the platform; its data stays."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Final

from deploy.commands.terminal import DataOption, explained, progress
from deploy.local.failures import LocalFailure
from deploy.local.layout import Layout
from deploy.local.processes import Identity
from deploy.local.status import PlatformStatus, ProcessStatus, find_supervisor, lock
from deploy.local.supervisor import Supervisor

POLL_SECONDS: Final = 0.1
STOP_SECONDS_MAX: Final = 60.0


class _Silent:
    def changed(self, status: ProcessStatus) -> None:
        """Show nothing."""

    def reported(self, message: str) -> None:
        """Show the message."""
        progress.print(message, markup=False)


def down(data: DataOption = None) -> None:
    """Stop the platform of this data folder and all its processes."""
    layout = Layout.at(data)
    with explained():
        supervisor = find_supervisor(layout)
        if supervisor is not None:
            with progress.status("Stopping ..."):
                _stop_supervisor(supervisor)
        if layout.lock_file.exists():
            # A supervisor that was killed leaves its processes behind.
            _stop_orphans(layout)
        progress.print("Stopped." if supervisor else "No platform was running.")


def _stop_supervisor(supervisor: Identity) -> None:
    os.kill(supervisor.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while supervisor.process() is not None:
        if time.monotonic() > deadline:
            os.kill(supervisor.pid, signal.SIGKILL)
            return
        time.sleep(POLL_SECONDS)


def _stop_orphans(layout: Layout) -> None:
    try:
        with lock(layout):
            supervisor = Supervisor(layout, [], PlatformStatus(""), _Silent())
            asyncio.run(supervisor.stop_stale())
    except OSError as error:
        raise LocalFailure(
            f"What runs for {layout.data} cannot be stopped: {error}. Run the command as the "
            "user who started the platform."
        ) from error
