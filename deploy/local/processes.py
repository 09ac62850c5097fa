"""Child processes that can be found again and stopped whole, also by a later supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from deploy.local.component import Component
from deploy.local.failures import LocalFailure, ProgramMissing
from deploy.local.secret_files import write_private

# Inherited by everything that a component starts, so that orphans are known as ours.
MARK_VARIABLE: Final = "REELMESH_SUPERVISED"
# The kernel's start time of a process is rounded, and moves a little when the clock is set.
SAME_START_SECONDS: Final = 2.0
STRAGGLER_SECONDS: Final = 2.0
KILLED_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Identity:
    """A process as it was when it was started; a recycled pid does not match."""

    name: str
    pid: int
    created: float  # Seconds since the epoch, from the kernel.
    mark: str
    stop_signal: int = signal.SIGTERM

    def process(self) -> psutil.Process | None:
        """Give the process if it still runs and is the one that was started."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            if abs(process.create_time() - self.created) > SAME_START_SECONDS:
                return None
            if _mark(process) not in (self.mark, None):
                return None
        except psutil.Error:
            return None
        return process


def identify(
    name: str, pid: int, mark: str, *, stop_signal: int = signal.SIGTERM
) -> Identity | None:
    """Give the identity of a running process, or nothing if it has ended already."""
    try:
        return Identity(name, pid, psutil.Process(pid).create_time(), mark, stop_signal)
    except psutil.Error:
        return None


def write_identity(folder: Path, identity: Identity) -> None:
    """Keep the identity in the folder of pid files."""
    write_private(folder / f"{identity.name}.json", json.dumps(asdict(identity)) + "\n")


def read_identities(folder: Path) -> list[Identity]:
    """Give all identities in the folder; a broken file is no identity."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(Identity(**json.loads(path.read_text())))
        except (OSError, ValueError, TypeError):
            continue
    return found


def forget_identity(folder: Path, name: str) -> None:
    """Remove the pid file of a process that has ended."""
    (folder / f"{name}.json").unlink(missing_ok=True)


async def spawn(component: Component, mark: str, log: Path) -> asyncio.subprocess.Process:
    """Start the component in a session of its own, with its output appended to the log.

    Output goes to the file itself and not through a pipe, so that the process outlives a
    supervisor that was killed.

    Raises:
        ProgramMissing: the program is not there.
        LocalFailure: it cannot be started for another reason.
    """
    environment = _inherited() | dict(component.environment) | {MARK_VARIABLE: mark}
    try:
        with log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *component.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=environment,
                cwd=component.folder,
                start_new_session=True,
                **component.account.arguments(),
            )
    except FileNotFoundError as error:
        raise ProgramMissing(component.command[0]) from error
    except OSError as error:
        raise LocalFailure(
            f"{component.name} cannot be started: {error.strerror} ({component.command[0]}). "
            "Check that this user may run it and that the machine has processes and memory left."
        ) from error


def family(identities: Iterable[Identity], mark_prefix: str) -> list[psutil.Process]:
    """Give every living process of these: themselves, their children, sessions and marks."""
    known = list(identities)
    heads = [process for one in known if (process := one.process()) is not None]
    found = {process.pid: process for process in heads}
    for head in heads:
        try:
            found |= {child.pid: child for child in head.children(recursive=True)}
        except psutil.Error:
            continue
    living = {process.pid for process in heads}
    orphaned = {one.pid for one in known if not psutil.pid_exists(one.pid)}
    for process in psutil.process_iter():
        if process.pid == os.getpid() or process.pid in found:
            continue
        mark, session = _mark(process), _session(process)
        if (
            (mark is not None and mark.startswith(mark_prefix))
            # A Ray worker leads a group of its own but stays in its starter's session.
            or session in living
            or (session in orphaned and _is_ray(process))
        ):
            found[process.pid] = process
    return [process for process in found.values() if _lives(process)]


def marked(mark_prefix: str) -> list[psutil.Process]:
    """Give every living process whose mark begins so, such as `<key of a layout>/`."""
    found = []
    for process in psutil.process_iter():
        mark = _mark(process)
        if mark is not None and mark.startswith(mark_prefix):
            found.append(process)
    return found


async def stop_family(
    identities: Iterable[Identity],
    mark_prefix: str,
    *,
    grace_seconds: float,
) -> None:
    """Ask the heads to end, then whatever is left, then end it; returns when all are gone."""
    heads = list(identities)
    members = await asyncio.to_thread(family, heads, mark_prefix)
    asked = []
    for one in heads:
        if (process := one.process()) is not None:
            _signal_all([process], one.stop_signal)
            asked.append(process)
    if asked and not await _gone(asked, grace_seconds):
        _signal_all(asked, signal.SIGKILL)
    rest = {p.pid: p for p in [*members, *await asyncio.to_thread(family, [], mark_prefix)]}
    left = [process for process in rest.values() if _lives(process)]
    if not left:
        return
    _signal_all(left, signal.SIGTERM)
    if not await _gone(left, STRAGGLER_SECONDS):
        _signal_all(left, signal.SIGKILL)
        await _gone(left, KILLED_SECONDS)


async def _gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Tell whether all ended within this time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while any(_lives(process) for process in processes):
        if loop.time() >= deadline:
            return False
        # Processes of a former supervisor are not our children, so their end can only be polled.
        await asyncio.sleep(POLL_SECONDS)
    return True


def _signal_all(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        try:
            # psutil compares the start time first, so a recycled pid is never signalled.
            process.send_signal(number)
        except psutil.Error:
            continue


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _mark(process: psutil.Process) -> str | None:
    """Give the mark of a process; nothing if it has none or its environment is hidden."""
    try:
        mark: str | None = process.environ().get(MARK_VARIABLE)
    except (psutil.Error, OSError):
        return None
    return mark


def _is_ray(process: psutil.Process) -> bool:
    """Tell whether this is a process of Ray, whose titles overwrite their environment."""
    try:
        return " ".join(process.cmdline()).startswith(("ray-", "ray::"))
    except psutil.Error:
        return False


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _inherited() -> dict[str, str]:
    """Give our environment without settings meant for other Postgres, Ray or SeaweedFS."""
    foreign = ("PG", "RAY_", "WEED_", "NATS_", "AWS_")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
