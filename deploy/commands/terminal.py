"""Where commands write: results to stdout, progress and problems to stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from deploy.client import ApiError, Unreachable
from deploy.local.failures import LocalFailure, NotRunning, NotYours
from deploy.local.interruption import Interrupted
from deploy.local.layout import DATA_VARIABLE, Layout
from deploy.local.status import find_supervisor, read_status

INTERRUPTED_STATUS: Final = 130

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help=f"Data folder [{DATA_VARIABLE}; default .reelmesh]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout")]

results = Console(soft_wrap=True)
progress = Console(stderr=True)


@contextmanager
def explained() -> Iterator[None]:
    """Turn failures that a person can act on into one paragraph and an exit status."""
    try:
        yield
    except Interrupted as error:
        progress.print("Interrupted; everything that was started is stopped.")
        raise typer.Exit(INTERRUPTED_STATUS) from error
    except (LocalFailure, ApiError, Unreachable) as error:
        _say(str(error))
        raise typer.Exit(1) from error
    except PermissionError as error:
        _say(str(NotYours(error)))
        raise typer.Exit(1) from error


def _say(problem: str) -> None:
    progress.print("[bold red]error:[/] ", end="")
    progress.print(problem, markup=False, highlight=False, soft_wrap=True)


def running_gateway(layout: Layout) -> str:
    """Give the URL of the running platform's gateway.

    Raises:
        NotRunning: there is none.
    """
    status = read_status(layout)
    if find_supervisor(layout) is None or not status["gateway_url"]:
        raise NotRunning(layout.data)
    return str(status["gateway_url"])
