"""What the supervisor needs to know of one component."""

from __future__ import annotations

import importlib.metadata
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.local.failures import ProgramMissing

DEFAULT_FIRST_STARTS: Final = 3
DEFAULT_GRACE_SECONDS: Final = 10.0
# Generous: on a machine that is busy otherwise, Ray alone takes a minute.
DEFAULT_READY_SECONDS: Final = 180.0


class NotReady(Exception):
    """A component does not answer yet as it should; the message says what was seen."""


class Unwell(NotReady):
    """A component answers that it cannot serve now; starting it anew would not help."""


@dataclass(frozen=True)
class Account:
    """The system user that a process runs as; without ids, the one that we run as."""

    user_id: int | None = None
    group_id: int | None = None

    def arguments(self) -> dict[str, Any]:
        """Give the arguments of `subprocess.Popen`."""
        if self.user_id is None:
            return {}
        return {"user": self.user_id, "group": self.group_id, "extra_groups": []}


async def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Component:
    """One process: how it starts, when it is ready, how it stops."""

    name: str
    version: str
    port: int | None
    command: tuple[str, ...]
    check: Callable[[], Awaitable[None]]  # Raises NotReady.
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()  # Names of components that must be ready before it starts.
    follows: tuple[str, ...] = ()  # When one of these restarts, this one does too.
    prepare: Callable[[], Awaitable[None]] = _nothing  # Before each start.
    account: Account = Account()
    folder: Path | None = None  # Working directory.
    stop_signal: int = signal.SIGTERM
    grace_seconds: float = DEFAULT_GRACE_SECONDS
    ready_seconds: float = DEFAULT_READY_SECONDS
    first_starts_max: int = DEFAULT_FIRST_STARTS  # Then a component that was never ready fails.


def program(name: str) -> str:
    """Give the path of a program that a wheel installed beside this interpreter.

    Raises:
        ProgramMissing: it is nowhere.
    """
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return str(beside)
    found = shutil.which(name)
    if found is None:
        raise ProgramMissing(name)
    return found


def version_of(distribution: str) -> str:
    """Give the version of an installed package, or "unknown"."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
