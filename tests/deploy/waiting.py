"""Waits for conditions instead of times, and finds what runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psutil

from deploy.local import processes
from deploy.local.layout import Layout

POLL_SECONDS = 0.02


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Return when the condition holds; fail if it does not within this time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - other processes set no events here
            await asyncio.sleep(POLL_SECONDS)


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped yet does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def marked(layout: Layout) -> list[psutil.Process]:
    """Give the processes that carry the mark of the platform in this folder."""
    return processes.marked(f"{layout.key}/")
