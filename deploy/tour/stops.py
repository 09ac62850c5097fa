"""Finds the stops of the tour and leads through them."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from deploy.client import ApiError, Unreachable
from deploy.local.failures import LocalFailure
from deploy.tour import steps
from deploy.tour.guide import Guide


@dataclass(frozen=True)
class Stop:
    """One part of the platform, shown at work."""

    order: int
    name: str
    title: str
    run: Callable[[Guide], Awaitable[None]]


@dataclass(frozen=True)
class Visit:
    """What was seen at a stop; `problem` is empty if all was as it must be."""

    stop: Stop
    seconds: float
    said: Sequence[str] = field(default_factory=list)
    problem: str = ""


def all_stops() -> list[Stop]:
    """Give every stop in the order of the tour."""
    found = []
    for info in pkgutil.iter_modules(steps.__path__):
        module = importlib.import_module(f"{steps.__name__}.{info.name}")
        name = info.name.replace("_", "-")
        found.append(Stop(module.ORDER, name, module.TITLE, module.run))
    return sorted(found, key=lambda stop: (stop.order, stop.name))


def chosen(names: Sequence[str]) -> list[Stop]:
    """Give the stops with these names, all without any.

    Raises:
        LocalFailure: there is no such stop.
    """
    stops = all_stops()
    unknown = sorted(set(names) - {stop.name for stop in stops})
    if unknown:
        known = ", ".join(stop.name for stop in stops)
        raise LocalFailure(f"There is no stop {', '.join(unknown)}. The tour has: {known}.")
    return [stop for stop in stops if not names or stop.name in names]


async def visit(stop: Stop, guide: Guide) -> Visit:
    """Let a stop happen; what goes wrong there is told and does not end the tour."""
    began = time.monotonic()
    problem = ""
    try:
        await stop.run(guide)
    except (LocalFailure, ApiError, Unreachable) as error:
        problem = str(error)
    return Visit(stop, time.monotonic() - began, guide.said, problem)
