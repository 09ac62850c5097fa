"""Ends work on Ctrl-C or SIGTERM once, so that clean-up itself is not cut short."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """A signal ended the work; its clean-up is done."""


def run_until_signal(
    work: Coroutine[Any, Any, Result], *, on_signal: Callable[[], None] = lambda: None
) -> Result:
    """Run the work to its end; the first signal cancels it, later ones do nothing.

    Raises:
        Interrupted: a signal came.
    """
    return asyncio.run(_guarded(work, on_signal))


async def _guarded(work: Coroutine[Any, Any, Result], on_signal: Callable[[], None]) -> Result:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            on_signal()
            task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError as error:
        if interrupted:
            raise Interrupted from error
        raise
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
