"""What is known of each process, kept in a file for `reelmesh status` and the other commands."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any, Final

from deploy.local.failures import AlreadyRunning
from deploy.local.layout import Layout
from deploy.local.processes import Identity, identify, read_identities
from deploy.local.secret_files import write_private

SUPERVISOR: Final = "supervisor"


class State(StrEnum):
    """Where a process stands."""

    WAITING = "waiting"  # For components that it needs.
    STARTING = "starting"
    READY = "ready"
    UNHEALTHY = "unhealthy"  # Runs, and fails its health check.
    RESTARTING = "restarting"  # Ended by itself; starts again after a while.
    CRASH_LOOP = "crash_loop"  # Ends again and again.
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass
class ProcessStatus:
    """One process as users see it."""

    name: str
    version: str
    port: int | None
    pid: int | None = None
    state: State = State.WAITING
    restarts: int = 0
    detail: str = ""
    ready_seconds: float | None = None  # From the start of the platform.


@dataclass
class PlatformStatus:
    """The whole platform as users see it; written to the state file on each change."""

    gateway_url: str
    regions: list[dict[str, Any]] = field(default_factory=list)  # Without their states.
    endpoints: dict[str, str] = field(default_factory=dict)
    processes: dict[str, ProcessStatus] = field(default_factory=dict)
    supervisor_pid: int | None = None
    ready: bool = False

    def document(self) -> dict[str, Any]:
        """Give the status as JSON-ready values; `processes` is a list in order of start."""
        return {
            "gateway_url": self.gateway_url,
            "ready": self.ready,
            "supervisor_pid": self.supervisor_pid,
            "processes": [_process_document(one) for one in self.processes.values()],
            "regions": [region | {"state": self._state_of(region)} for region in self.regions],
            "endpoints": self.endpoints,
        }

    def _state_of(self, region: Mapping[str, Any]) -> str:
        return region_state([self.processes[name].state for name in region["processes"]])

    def write(self, layout: Layout) -> None:
        """Replace the state file."""
        write_private(layout.state_file, json.dumps(self.document(), indent=2) + "\n")


def read_status(layout: Layout) -> dict[str, Any]:
    """Give the status document as it is now: what the state file says, checked against reality.

    A platform that is not running has all its processes "stopped", or "orphaned" where one
    outlived its supervisor.
    """
    try:
        document: dict[str, Any] = json.loads(layout.state_file.read_text())
    except (OSError, ValueError):
        document = {"gateway_url": "", "processes": [], "regions": [], "endpoints": {}}
    supervisor = find_supervisor(layout)
    document["supervisor_pid"] = supervisor.pid if supervisor else None
    if supervisor is None:
        document["ready"] = False
        alive = _living(layout)
        for process in document["processes"]:
            process["pid"] = alive.get(process["name"])
            process["state"] = "orphaned" if process["pid"] else State.STOPPED.value
        for region in document["regions"]:
            region["state"] = State.STOPPED.value
    return document


def find_supervisor(layout: Layout) -> Identity | None:
    """Give the supervisor of this data folder if one runs."""
    for identity in read_identities(layout.pids):
        if identity.name == SUPERVISOR and identity.process() is not None:
            return identity
    return None


def own_identity(layout: Layout) -> Identity:
    """Give this process as the supervisor of the data folder."""
    identity = identify(SUPERVISOR, os.getpid(), f"{layout.key}/{SUPERVISOR}/")
    assert identity is not None
    return identity


def lock(layout: Layout) -> IO[str]:
    """Take the data folder; the kernel gives it back when this process ends in any way.

    Raises:
        AlreadyRunning: another process holds it.
    """
    file = layout.lock_file.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise AlreadyRunning(layout.data) from error
    return file


def is_locked(layout: Layout) -> bool:
    """Tell whether a supervisor holds the data folder."""
    if not layout.lock_file.exists():
        return False
    try:
        lock(layout).close()
    except AlreadyRunning:
        return True
    return False


def region_state(states: Sequence[State]) -> str:
    """Give the state of a region from those of its processes: all ready is "running"."""
    for one, name in ((State.CRASH_LOOP, "failed"), (State.UNHEALTHY, State.UNHEALTHY.value)):
        if one in states:
            return name
    if all(state == State.READY for state in states):
        return "running"
    if all(state in {State.STOPPING, State.STOPPED} for state in states):
        return State.STOPPED.value
    return State.STARTING.value


def summarize(processes: Sequence[Mapping[str, Any]]) -> str:
    """Say in a few words how many processes are ready."""
    ready = sum(process["state"] == State.READY.value for process in processes)
    return f"{ready} of {len(processes)} processes ready"


def _living(layout: Layout) -> dict[str, int]:
    return {one.name: one.pid for one in read_identities(layout.pids) if one.process()}


def _process_document(status: ProcessStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "pid": status.pid,
        "port": status.port,
        "version": status.version,
        "state": status.state.value,
        "restarts": status.restarts,
        "detail": status.detail,
        "ready_seconds": status.ready_seconds,
    }
